"""How an exchange ended: from what mitmproxy says to the states of `harness.core.exchange.State`.

The law of this file: pure. The messages are those of mitmproxy 12.2: `proxy/layers/http/_http1.py`
(`read_body`, `read_headers`, `wait`), `_http2.py` (`handle_h2_event`), `proxy/layers/http/__init__.py`,
and our own (`harness.record.http1`, `harness.record.http2`).
"""

import re
from enum import StrEnum

from harness.core.derive import Derived
from harness.core.exchange import BODILESS, RESET, Response, State, header


class How(StrEnum):
    """The way in which the proxy let go of an exchange."""

    RESPONSE = "response"
    """The body ended as its framing says; one without a length ended with its connection."""
    ERROR = "error"
    """mitmproxy gave up, and said why."""
    GONE = "gone"
    """The client's connection is closed, and mitmproxy never said how the exchange ended."""
    CRASHED = "crashed"
    """mitmproxy tripped over it."""
    STOP = "stop"
    """The recorder stopped."""


CLIENT_LEFT = "Client disconnected."
CLIENT_RESET = "stream reset by client"
LEFT = (CLIENT_LEFT, CLIENT_RESET)
"""How a message begins that says that the client does not want the rest."""
STREAM_RESET = "the upstream reset the stream"
GOAWAY = "the upstream ended the HTTP/2 connection"
"""What is said of HTTP/2 (`harness.record.http2`)."""

ERRORS = (
    (re.compile(f"{RESET}|{STREAM_RESET}|{GOAWAY}"), State.UPSTREAM_CUT),
    (re.compile("HTTP/1 protocol error: peer closed connection"), State.UPSTREAM_CUT),
    (re.compile("server closed connection|peer closed connection"), State.UPSTREAM_CUT),
    (re.compile("unexpected server response: b['\"](?:HTTP/|HT{0,2}P?['\"]$)"), State.UPSTREAM_CUT),
)
"""Beginning of mitmproxy's message -> state; every other message says that a protocol was broken."""

QUOTED = re.compile("b?'.*'|b?\".*\"", re.DOTALL)

UNKNOWN = "bytes"
"""The dialect of a stream whose terminator nobody knows (`harness.core.dialects`)."""


def state_of(how: How, message: str, derived: Derived, *, connected: bool, framed: bool) -> State:
    """The state of an exchange.

    `connected`: the request had a connection to its upstream. `framed`: the response said where it
    ends (`is_framed`). Some SDKs close right after the stream's own terminator: that is complete,
    where the terminator was seen and is not merely unknown.
    """
    state = _raw_state(how, message, connected=connected)
    if state is State.CLIENT_ABORT and derived.terminated and derived.stream and derived.dialect != UNKNOWN:
        return State.COMPLETE
    if state is State.COMPLETE and not framed and not derived.terminated:
        return State.UNTERMINATED
    return state


def _raw_state(how: How, message: str, *, connected: bool) -> State:
    if how is How.STOP:
        return State.INTERRUPTED
    if how is How.RESPONSE:
        return State.COMPLETE
    if how is How.CRASHED:
        return State.UPSTREAM_ERROR
    if how is How.GONE or message.startswith(LEFT):
        return State.CLIENT_ABORT
    if not connected:
        return State.CONNECT_FAILED
    return next((state for form, state in ERRORS if form.match(message)), State.UPSTREAM_ERROR)


def told(message: str, *, connected: bool) -> str | None:
    """mitmproxy's message as it may be kept: what it quotes of an upstream's bytes may hold anything.

    >>> told("unexpected server response: b'HTTP/1.1 200 OK\\r\\nSet-Cookie: a=b'", connected=True)
    'unexpected server response: ...'
    """
    return (QUOTED.sub("...", message) if connected else message) or None


def is_framed(method: str, response: Response) -> bool:
    """Whether the end of the body can be told from the end of its connection (RFC 9112, 6.3)."""
    if method.upper() == "HEAD" or response.status in BODILESS or response.http_version.startswith("HTTP/2"):
        return True
    coding = header(response.headers, "transfer-encoding")
    if coding is not None:
        return coding.lower().split(",")[-1].strip() == "chunked"
    return header(response.headers, "content-length") is not None
