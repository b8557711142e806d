"""`harness show`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.core.exchange import Exchange, Request, Response, State

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


@pytest.fixture
def write_streams(make_exchange: MakeExchange, write: Write) -> Callable[[int], Path]:
    """Write a recording of this many streams."""
    return lambda count: write(*[make_exchange()] * count)


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed on stdout."""
    return [line.rstrip() for line in capsys.readouterr().out.split("\n")]


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_a_stream(
    name: str, make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(write(make_exchange(" Hel", "lo\n", "[red]\x1b[0m"), name=name))]) == 0
    lines = lines_of(capsys)
    assert lines[0] == "exchange 1"
    assert ["ttft", "ms", "100"] in [line.split() for line in lines]
    assert "POST http://api.test/v1/chat/completions HTTP/1.1" in lines
    assert "Accept: */*" in lines
    assert '  "stream": true,' in lines
    assert "X-Request-Id: r1" in lines
    text = lines.index("text")
    assert lines[text + 1 : text + 3] == [" Hello", "[red]␛[0m"]
    timeline = lines.index("timeline")
    assert lines[timeline + 1] == (
        "3 tokens: the first after 100.00 ms, all within 20.00 ms, the end at 141.00 ms"
    )
    assert [line.split() for line in lines[timeline + 4 : timeline + 7]] == [
        ["100.00", "100.00", "█" * 19 + "▶", "␣Hel"],
        ["110.00", "10.00", "█" * 20, "lo⏎"],
        ["120.00", "10.00", "█" * 20, "[red]␛[0m"],
    ]


def test_a_plain_answer_and_a_tool_call(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = json.dumps(
        {"model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    ).encode()
    request = Request("POST", "http://a.test/v1/chat/completions", body=b"\xff\xfe")
    response = Response(200, (("content-type", "application/json"),), 1, ((2, body),), 3)
    assert main(["show", str(write(Exchange(request, response)))]) == 0
    lines = lines_of(capsys)
    assert "(no UTF-8)" in lines
    assert f"response body, {len(body)} bytes" in lines
    assert '  "model": "m",' in lines
    assert 'now {"a": 1}  (c1)' in lines
    assert any(line.endswith(f"{len(body)} bytes") for line in lines[lines.index("timeline") :])


def test_no_answer(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    failed = Exchange(Request("GET", "http://a.test/"), None, State.CONNECT_FAILED, error="refused\n")
    assert main(["show", str(write(failed)), "1"]) == 0
    printed = "\n".join(lines_of(capsys))
    assert "refused⏎" in printed
    assert "timeline" not in printed


def test_unknown_times_are_said(
    make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(write(make_exchange(timing_known=False)))]) == 0
    lines = lines_of(capsys)
    assert any(line.split() == ["timing", "known", "no"] for line in lines)
    assert "timeline" not in lines


def test_long_things_are_cut_in_the_middle_unless_all_is_asked_for(
    make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"lines": list(range(200))}).encode()
    exchange = make_exchange(*[f"w{number}\n" for number in range(100)])
    path = write(replace(exchange, request=replace(exchange.request, body=body)))
    assert main(["show", str(path)]) == 0
    lines = lines_of(capsys)
    assert "… 164 more lines (--all shows them)" in lines
    assert "w0" in lines
    assert "w99" not in lines
    timeline = lines[lines.index("timeline") :]
    assert [line.split()[-1] for line in timeline if "w19⏎" in line or "w90⏎" in line] == ["w19⏎", "w90⏎"]
    assert not any("w20⏎" in line or "w89⏎" in line for line in timeline)
    assert any("70 more, longest gap 10.00 ms" in line for line in timeline)
    assert main(["show", str(path), "--all"]) == 0
    lines = lines_of(capsys)
    assert "w99" in lines
    assert sum("⏎" in line for line in lines) == 100


def test_json(make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(write(make_exchange())), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["text"], shown["ttft_ms"], shown["state"]) == (1, "Hello!", 100.0, "complete")
    assert shown["request"]["headers"] == [["Accept", "*/*"]]
    assert shown["response"]["status"] == 200
    assert shown["response"]["body"].endswith("data: [DONE]\n\n")
    assert shown["timeline_of"] == "tokens"
    assert shown["timeline"][1] == {"offset_ms": 110.0, "gap_ms": 10.0, "text": "lo"}


@pytest.mark.parametrize(
    ("count", "arguments", "words"),
    [
        (2, [], "holds more than one exchange: name one"),
        (0, [], "holds no exchange ("),
        (2, ["3"], "holds no exchange 3"),
        (1, ["x"], "Invalid value for 'ID'"),
    ],
)
def test_which_one(
    count: int,
    arguments: list[str],
    words: str,
    write_streams: Callable[[int], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["show", str(write_streams(count)), *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_an_id_beyond_all_columns(
    name: str, make_exchange: MakeExchange, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    number = "99999999999999999999"
    assert main(["show", str(write(make_exchange(), name=name)), number]) == 2
    assert f"holds no exchange {number}" in capsys.readouterr().err
