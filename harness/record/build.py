"""Exchanges from the proxy's messages.

The law of this file: pure. Stamps of the monotonic clock become offsets from t0; nothing is judged
here but what the bytes of the message say.
"""

from collections.abc import Mapping
from typing import Any

from harness.core.exchange import Exchange, Headers, Request, Response
from harness.record.anchor import Anchor
from harness.record.ends import told
from harness.record.message import Message

BLANKED = dict.fromkeys(map(ord, "\0\r\n"), " ")
"""What a field value may not hold, in folded lines or at all: blanks instead (RFC 9110, 5.5)."""


def exchange_of(message: Message, anchor: Anchor) -> Exchange:
    """The exchange of a message; its state is not known yet (`harness.record.ends`)."""
    head = message.head
    t0: int = head["t0"]
    return Exchange(
        request=_request(head["request"], message.body),
        response=_response(head, message) if head["response"] else None,
        started_at=anchor.date(t0),
        upstream=head["request"]["upstream"],
        connect_ns=max(0, head["connected"] - t0),
        error_bound_ns=head["error_bound"],
        error=told(head["message"], connected=bool(head["connected"])),
        end_ns=head["end"] - t0,
    )


def _request(request: Mapping[str, Any], body: bytes) -> Request:
    return Request(
        method=request["method"],
        url=request["url"],
        headers=_headers(request["headers"]),
        body=body,
        http_version=request["http_version"],
        path=request["path"],
    )


def _response(head: Mapping[str, Any], message: Message) -> Response:
    t0 = head["t0"]
    response = head["response"]
    chunks = zip(message.stamps, message.chunks, strict=True)
    return Response(
        status=response["status"],
        headers=_headers(response["headers"]),
        headers_ns=head["headers"] - t0,
        chunks=tuple((stamp - t0, data) for stamp, data in chunks if data),
        end_ns=head["end"] - t0,
        http_version=response["http_version"],
    )


def _headers(pairs: list[list[str]]) -> Headers:
    return tuple((name, value.translate(BLANKED)) for name, value in pairs)
