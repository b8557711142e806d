"""JSON Lines as a recording."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import to_line
from harness.store.lines import LinesRecording
from harness.store.listing import listed

type MakeExchange = Callable[..., Exchange]


@pytest.fixture
def path(tmp_path: Path, make_exchange: MakeExchange) -> Path:
    """Two exchanges with blank lines around, the last without its newline."""
    lines = ["", to_line(make_exchange("a")), "  ", to_line(make_exchange("b", model="other"))]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    return tmp_path / "a.jsonl"


def test_exchanges_are_numbered_and_blank_lines_are_none(path: Path, make_exchange: MakeExchange) -> None:
    first, second = replace(make_exchange("a"), id=1), replace(make_exchange("b", model="other"), id=2)
    with LinesRecording(path) as recording:
        assert list(recording.exchanges()) == [first, second]
        assert recording.exchange(2) == second
        assert list(recording.listing()) == [listed(one, derive(one)) for one in (first, second)]
        assert recording.captures() == []
        assert recording.rules() == ()


def test_an_exchange_that_is_not_there(path: Path) -> None:
    with LinesRecording(path) as recording, pytest.raises(BadInput, match="holds no exchange 3"):
        recording.exchange(3)


@pytest.mark.parametrize(
    ("line", "words"),
    [(b'{"request": 5}', "line 5: request: should be an object"), (b"\xff", "line 5: is no UTF-8")],
)
def test_a_damaged_line_is_named_after_those_before_it(line: bytes, words: str, path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n" + line + b"\n")
    exchanges = LinesRecording(path).exchanges()
    assert [next(exchanges).id, next(exchanges).id] == [1, 2]
    with pytest.raises(BadInput) as refused:
        next(exchanges)
    assert str(refused.value) == f"{path}: {words}"


def test_reading_is_lazy(path: Path, make_exchange: MakeExchange) -> None:
    exchanges = LinesRecording(path).exchanges()
    first = next(exchanges)
    with path.open("a") as file:
        file.write("\n" + to_line(make_exchange("c")))
    assert first.id == 1
    assert [exchange.id for exchange in exchanges] == [2, 3]
