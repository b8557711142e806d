"""What comes in place of misses, over real sockets: fuzzy and simulated answers, and recorded ones."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.child import Child, harness_command
from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.core.interchange import to_line
from harness.store.open import open_recording

PATH = "/v1/chat/completions"
MS = 1_000_000


def asking(content: str, **fields: Any) -> bytes:
    return json.dumps({"model": "tiny", "messages": [{"content": content}]} | fields).encode()


class Answer:
    def __init__(self, url: str, body: bytes, path: str = PATH, **headers: str) -> None:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        started = time.monotonic()
        connection.request("POST", path, body, {"content-type": "application/json"} | headers)
        response = connection.getresponse()
        self.status, self.match = response.status, response.getheader("x-harness-match")
        self.body = response.read()
        self.took_s = time.monotonic() - started
        connection.close()


def plain(text: str, body: bytes) -> Exchange:
    data = json.dumps({"model": "tiny", "choices": [{"message": {"content": text}}]}).encode()
    headers = (("content-type", "application/json"), ("content-length", str(len(data))))
    response = Response(200, headers, 5 * MS, ((5 * MS, data),), 5 * MS)
    return Exchange(Request("POST", f"http://up{PATH}", body=body), response, upstream="up")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a recorded stream, a plain answer twice, and one of another upstream.

    It is fuzzy, repeats nothing, simulates.
    """
    events = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % word for word in (b"a", b"b", b"c")]
    chunks = tuple((at * MS, data) for at, data in zip((60, 80, 100), events, strict=True))
    head = (("content-type", "text/event-stream"),)
    stream = Exchange(
        Request("POST", f"http://up{PATH}", body=asking("stream the whole of it", stream=True)),
        Response(200, head, 50 * MS, (*chunks, (100 * MS, b"data: [DONE]\n\n")), 101 * MS),
        upstream="up",
    )
    twice = [plain(text, asking("hello there my dear old friend")) for text in ("one", "two")]
    elsewhere = Exchange(
        Request("POST", "http://other/v1/other", body=asking("what may be asked of the other one")),
        Response(201, (("content-type", "application/json"),), 0, ((0, b"{}"),), 0),
        upstream="other",
    )
    file = tmp_path_factory.mktemp("instead") / "rec.jsonl"
    file.write_text("".join(f"{to_line(one)}\n" for one in (stream, *twice, elsewhere)))
    options = (
        "--fuzzy",
        "0.9",
        "--on-miss",
        "simulate",
        "--repeat",
        "sequence",
        "--session-by",
        "header:x-test",
    )
    with Child(harness_command("replay", str(file), "--port", "0", *options), quiet=True) as child:
        yield child.url


def test_exact_answers_bear_no_mark_and_sessions_are_counted_apart(served: str) -> None:
    for session in ("a", "b"):
        answers = [
            Answer(served, asking("hello there my dear old friend"), **{"x-test": session}) for _ in "12"
        ]
        assert [(one.status, one.match) for one in answers] == [(200, None)] * 2
        assert [b"one" in answers[0].body, b"two" in answers[1].body] == [True, True]


def test_what_is_alike_is_answered_and_marked(served: str) -> None:
    answer = Answer(served, asking("hello there my dear new friend"), **{"x-test": "fuzzy"})
    assert (answer.status, answer.match) == (200, "fuzzy 0.95")
    assert b"one" in answer.body


def test_what_is_alike_at_another_upstream_than_the_named_one_is_a_miss(served: str) -> None:
    body = asking("what will be asked of the other one")
    answers = [Answer(served, body, f"/{name}/v1/other", **{"x-test": name}) for name in ("other", "up")]
    assert [one.status for one in answers] == [201, 404]
    assert str(answers[0].match).startswith("fuzzy 0.9")


def test_what_is_not_alike_is_simulated_as_a_stream_at_recorded_times(served: str) -> None:
    answer = Answer(served, asking("something else", stream=True))
    assert (answer.status, answer.match) == (200, "simulated from 1")
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert answer.took_s > 0.09


def test_what_is_exhausted_is_simulated_as_a_plain_answer(served: str) -> None:
    asked = [Answer(served, asking("hello there my dear old friend"), **{"x-test": "c"}) for _ in range(3)]
    assert [one.match for one in asked[:2]] == [None, None]
    assert asked[2].match in ("simulated from 2", "simulated from 3")
    assert b"choices" in asked[2].body


@pytest.mark.parametrize("body", [asking("x", model="other"), asking("x", model="other", stream=True)])
def test_nothing_is_simulated_from_another_model(body: bytes, served: str) -> None:
    answer = Answer(served, body)
    assert (answer.status, answer.match) == (404, None)
    assert json.loads(answer.body)["error"]["code"] == "harness_miss"
    assert Answer(served, asking("x"), "/v1/completions").status == 404


@pytest.fixture
def db(write: Callable[..., Path], make_exchange: Callable[..., Exchange]) -> Path:
    """A recording with one exchange of the upstream `openai`."""
    return write(make_exchange("old"))


@pytest.mark.skipif(find_spec("mitmproxy") is None, reason="needs the extra record")
def test_misses_are_recorded_and_replayed_the_next_time(db: Path, upstream: Any) -> None:
    """One server does all: a plain answer, a stream as it comes, a cut, a client that leaves."""
    go_on = threading.Event()
    head = upstream.head(200, "Content-Type: text/event-stream")
    first, last = upstream.chunk(b"data: 1\n\n"), upstream.chunk(b"data: [DONE]\n\n") + upstream.LAST
    upstream.on("/v1/plain", upstream.head(201, "Content-Length: 5", "X-Kept: 1"), b"fresh")
    upstream.on("/v1/stream", head, first, go_on, last)
    upstream.on("/v1/cut", head, first, upstream.RESET)
    upstream.on("/v1/left", head, first, upstream.HOLD)
    options = ["--port", "0", "--json", "--on-miss", "record", "--upstream", upstream.url]
    command = ["env", "-u", "CI", *harness_command("replay", str(db), *options)]
    with Child(command, quiet=True) as child:
        answer = Answer(
            child.url, b'{"n":1}', "/v1/plain", authorization="Bearer sk-secret", **{"x-harness-a": "1"}
        )
        assert (answer.status, answer.match, answer.body) == (201, "recorded", b"fresh")
        received = upstream.requests[-1]
        assert received.body == b'{"n":1}'
        assert b"sk-secret" in received.head
        assert b"x-harness" not in received.head.lower()
        assert streams_as_it_comes(child.url, go_on)
        with pytest.raises(http.client.IncompleteRead):
            Answer(child.url, b"{}", "/v1/cut")
        leave(child.url, "/v1/left")
        assert upstream.gone.wait(20)
        code = child.stop()
        summary = json.loads("".join(child.output).splitlines()[-1])
    assert (code, summary["missed"], summary["instead"]) == (0, 0, {"recorded": 4})
    kept = episodes(db)
    assert {path: one.upstream for path, one in kept.items()} == dict.fromkeys(kept, "openai")
    states = {path: one.state.value for path, one in kept.items()}
    assert states == {
        PATH: "complete",
        "/v1/plain": "complete",
        "/v1/stream": "complete",
        "/v1/cut": "upstream_cut",
        "/v1/left": "client_abort",
    }
    assert "sk-secret" not in str(kept["/v1/plain"].request.headers)
    with Child(harness_command("replay", str(db), "--port", "0"), quiet=True) as child:
        again = Answer(child.url, b'{"n":1.0}', "/v1/plain")
        assert (again.status, again.match, again.body) == (201, None, b"fresh")


def streams_as_it_comes(url: str, go_on: threading.Event) -> bool:
    """Whether the first event is here before the upstream sends the next."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/v1/stream", b"{}")
    response = connection.getresponse()
    first = response.read1(100)
    go_on.set()
    rest = response.read()
    connection.close()
    return first == b"data: 1\n\n" and rest.endswith(b"data: [DONE]\n\n")


def leave(url: str, path: str) -> None:
    """Ask, read the first bytes, and go."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    connection.request("POST", path, b"{}")
    connection.getresponse().read1(1)
    connection.close()


def episodes(db: Path) -> dict[str, Exchange]:
    """What is recorded, by path; whatever it is, it can be read."""
    with open_recording(db) as recording:
        found = {exchange.request.path: exchange for exchange in recording.exchanges()}
    assert all(derive(one) for one in found.values())
    return found
