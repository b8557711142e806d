import pytest

from harness.core.derive import Derived
from harness.core.exchange import Headers, Response, State
from harness.record.ends import How, is_framed, state_of, told

CUT = "HTTP/1 protocol error: peer closed connection without sending complete message body"
TERMINATED = Derived("openai.chat", stream=True, terminated=True)
OPEN = Derived("openai.chat", stream=True)
PLAIN = Derived("bytes", terminated=True)
UNKNOWN_STREAM = Derived("bytes", stream=True, terminated=True)


@pytest.mark.parametrize(
    ("how", "message", "derived", "state"),
    [
        (How.RESPONSE, "", TERMINATED, State.COMPLETE),
        (How.RESPONSE, "", OPEN, State.COMPLETE),
        (How.STOP, "", TERMINATED, State.INTERRUPTED),
        (How.GONE, "", OPEN, State.CLIENT_ABORT),
        (How.CRASHED, "mitmproxy has crashed", TERMINATED, State.UPSTREAM_ERROR),
        (How.ERROR, "Client disconnected.", OPEN, State.CLIENT_ABORT),
        (How.ERROR, "Client disconnected.", TERMINATED, State.COMPLETE),
        (How.ERROR, "Client disconnected.", PLAIN, State.CLIENT_ABORT),
        (How.ERROR, "Client disconnected.", UNKNOWN_STREAM, State.CLIENT_ABORT),
        (How.ERROR, f"{CUT} (incomplete chunked read)", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, f"{CUT} (received 3 bytes, expected 5)", TERMINATED, State.UPSTREAM_CUT),
        (How.ERROR, "server closed connection", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "unexpected server response: b'HTTP/1.1 2'", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "unexpected server response: b'HT'", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "unexpected server response: b'Hello'", OPEN, State.UPSTREAM_ERROR),
        (How.ERROR, "the upstream reset the connection", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "the upstream reset the stream (CANCEL)", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "the upstream ended the HTTP/2 connection (NO_ERROR)", OPEN, State.UPSTREAM_CUT),
        (How.ERROR, "stream reset by client (CANCEL)", OPEN, State.CLIENT_ABORT),
        (How.ERROR, "stream reset by client (CANCEL)", TERMINATED, State.COMPLETE),
        (How.ERROR, "HTTP/1 protocol error: illegal chunk header", OPEN, State.UPSTREAM_ERROR),
        (How.ERROR, "Cannot parse HTTP response: x", OPEN, State.UPSTREAM_ERROR),
        (How.ERROR, "something that a later mitmproxy says", OPEN, State.UPSTREAM_ERROR),
    ],
)
def test_states(how: How, message: str, derived: Derived, state: State) -> None:
    assert state_of(how, message, derived, connected=True, framed=True) is state


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("[Errno 111] Connect call failed", State.CONNECT_FAILED),
        ("server closed connection", State.CONNECT_FAILED),
        ("Client disconnected.", State.CLIENT_ABORT),
    ],
)
def test_without_a_connection(message: str, state: State) -> None:
    assert state_of(How.ERROR, message, OPEN, connected=False, framed=False) is state


@pytest.mark.parametrize(
    ("framed", "derived", "state"),
    [
        (False, OPEN, State.UNTERMINATED),
        (False, TERMINATED, State.COMPLETE),
        (True, OPEN, State.COMPLETE),
        (False, PLAIN, State.COMPLETE),
    ],
)
def test_an_end_that_may_be_a_cut(framed: bool, derived: Derived, state: State) -> None:
    assert state_of(How.RESPONSE, "", derived, connected=True, framed=framed) is state


@pytest.mark.parametrize(
    ("method", "status", "version", "headers", "framed"),
    [
        ("GET", 200, "HTTP/1.1", (), False),
        ("GET", 200, "HTTP/1.1", (("content-length", "0"),), True),
        ("GET", 200, "HTTP/1.1", (("Transfer-Encoding", "gzip, Chunked"),), True),
        ("GET", 200, "HTTP/1.1", (("Transfer-Encoding", "gzip"), ("content-length", "0")), False),
        ("head", 200, "HTTP/1.1", (), True),
        ("GET", 204, "HTTP/1.1", (), True),
        ("GET", 304, "HTTP/1.1", (), True),
        ("GET", 200, "HTTP/2.0", (), True),
    ],
)
def test_framing(method: str, status: int, version: str, headers: Headers, framed: bool) -> None:
    assert is_framed(method, Response(status, headers, 0, (), 0, version)) is framed


@pytest.mark.parametrize(
    ("message", "connected", "kept"),
    [
        ("", True, None),
        ("Client disconnected.", True, "Client disconnected."),
        ('unexpected server response: b"it\'s a secret"', True, "unexpected server response: ..."),
        (
            "Cannot parse HTTP response: Bad line: b'a' and b'b\nc'",
            True,
            "Cannot parse HTTP response: Bad line: ...",
        ),
        ("Connect call failed ('127.0.0.1', 1)", False, "Connect call failed ('127.0.0.1', 1)"),
    ],
)
def test_what_is_kept_of_a_message(message: str, connected: bool, kept: str | None) -> None:
    assert told(message, connected=connected) == kept
