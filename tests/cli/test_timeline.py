"""The timeline: marks, gaps, bars, and how it fits."""

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from harness.cli.timeline import BAR, BINS, Mark, bar, density, lines_of, marks_of, quoted, spaced
from harness.core.derive import derive
from harness.core.exchange import Exchange, Response

MS = 1_000_000


def test_gaps_are_between_neighbours_and_the_first_from_t0() -> None:
    assert spaced([5, 7, 7], ["a", "b", "c"]) == [Mark(5, 5, "a"), Mark(7, 2, "b"), Mark(7, 0, "c")]


@pytest.mark.parametrize(
    ("response", "name", "texts"),
    [
        (None, "", []),
        (Response(200, (), 1, ((2, b"data: x\n\ndata: \xff\n\n"),), 3), "events", ["x", "\ufffd"]),
        (Response(200, (), 1, ((2, b"plain"), (3, b"")), 3), "chunks", ["5 bytes", "0 bytes"]),
    ],
)
def test_what_it_shows(
    response: Response | None, name: str, texts: list[str], make_exchange: Callable[..., Exchange]
) -> None:
    exchange = make_exchange(response=response)
    found, marks = marks_of(exchange, derive(exchange))
    assert (found, [mark.text for mark in marks]) == (name, texts)


@pytest.mark.parametrize(
    ("gap", "longest", "shown"),
    [
        (0, 8, ""),
        (1, 8, "██▌"),
        (8, 8, "█" * BAR),
        (9, 8, "█" * (BAR - 1) + "▶"),
        (0, 0, ""),
        (1, 10**9, "▏"),
    ],
)
def test_bars(gap: int, longest: int, shown: str) -> None:
    assert bar(gap, longest) == shown.ljust(BAR)


def test_density_counts_over_the_whole_time() -> None:
    marks = spaced([0, 50 * MS, 100 * MS], ["a"] * 3)
    line = density(marks, 100 * MS)
    assert len(line) == BINS + 2
    assert [line[1], line[1 + BINS // 2], line[BINS]] == ["█"] * 3
    assert line.count("█") == 3
    assert density(spaced([0], ["a"]), 0).count("█") == 1


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), (" ", "␣"), ("  a b ", "␣␣a b␣"), ("\n", "⏎"), (" \x1b ", "␣␛␣")]
)
def test_blanks_at_the_ends_are_seen(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize("width", [30, 45, 80])
def test_lines_fit_wide_characters_too(width: int) -> None:
    marks = spaced([MS, 2 * MS], ["日本語" * 40, "x" * 500])
    shown = lines_of("tokens", marks, 3 * MS, width=width, everything=False)[3:]
    assert [cell_len(line) for line in shown] == [width, width]
    assert all(line.endswith("…") for line in shown)
    whole = lines_of("tokens", marks, 3 * MS, width=width, everything=True)
    assert whole[-1].endswith("x" * 500)
