"""`harness scan`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.cli.scan import LISTED
from harness.core.exchange import Exchange

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

SECRET = "sk-" + "Planted42" * 3


def with_body(exchange: Exchange, body: object) -> Exchange:
    return replace(exchange, request=replace(exchange.request, body=json.dumps(body).encode()))


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_what_is_left_is_told_and_never_shown(
    name: str, make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(make_exchange(), with_body(make_exchange(), {"prompt": f"use {SECRET}"}), name=name)
    assert main(["scan", str(path)]) == 1
    output = capsys.readouterr().out
    assert "request body /prompt" in output
    assert output.endswith("1 secret in 2 exchanges\n")
    assert main(["scan", str(path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["exchanges"], document["found"], document["suspicious"]) == (2, 1, 0)
    (place,) = document["places"]
    assert (place["exchange"], place["severity"]) == (2, "high")
    assert "Planted" not in output + json.dumps(document)


def test_nothing_is_left(
    make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(write(make_exchange()))]) == 0
    assert capsys.readouterr().out == "0 secrets in 1 exchange\n"


def test_suspicious_texts_count_where_they_shall(
    make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(with_body(make_exchange(), {"a": "q7Zk2Vw9Xb4Rt6Yp1Lm8Nc3Sd5"}))
    assert main(["scan", str(path)]) == 0
    assert main(["scan", str(path), "--strict"]) == 1
    assert "0 secrets and 1 suspicious text in 1 exchange" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_a_key_that_stands_in_an_answer_before_the_request_that_uses_it(
    name: str, make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "planted-that-looks-like-none"
    uses = make_exchange()
    uses = replace(uses, request=replace(uses.request, headers=(("Authorization", f"Bearer {key}"),)))
    path = write(with_body(make_exchange(), {"a": key}), uses, name=name)
    assert main(["scan", str(path)]) == 1
    assert "2 secrets in 2 exchanges" in capsys.readouterr().out
    assert main(["redact", str(path)]) == 0
    assert main(["scan", str(path), "--strict"]) == 0
    assert key.encode() not in path.read_bytes()


def test_keys_of_this_environment(
    make_exchange: MakeExchange, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(with_body(make_exchange(), {"a": "planted-of-ours"}))
    assert main(["scan", str(path)]) == 0
    monkeypatch.setenv("PLANTED_API_KEY", "planted-of-ours")
    assert main(["scan", str(path)]) == 1


def test_of_many_some_are_listed_and_all_counted(
    make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    many = with_body(make_exchange(), [SECRET] * 600)
    assert main(["scan", str(write(many, many)), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["found"], len(document["places"])) == (1200, LISTED)


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.db").write_text("no recording")
    for arguments in ([], [str(tmp_path / "a.db")], [str(tmp_path)], [str(tmp_path / "none.db")]):
        assert main(["scan", *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
