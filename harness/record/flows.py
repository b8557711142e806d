"""Flows that mitmproxy saved (`mitmdump -w`), as interactions: mitmproxy keeps no times of chunks."""

import warnings
from collections.abc import Iterator
from pathlib import Path

from mitmproxy.exceptions import FlowReadException
from mitmproxy.http import Headers as MitmHeaders
from mitmproxy.http import HTTPFlow, Message

from harness.convert.interaction import Interaction
from harness.core.dates import date_of
from harness.core.errors import BadInput
from harness.core.exchange import Headers

with warnings.catch_warnings():  # mitmproxy calls pyparsing by names that newer ones deprecate
    warnings.simplefilter("ignore", DeprecationWarning)
    from mitmproxy.io import FlowReader

__all__ = ["FlowReader", "interactions"]

SWITCHING = 101
NS_PER_S = 1_000_000_000


def interactions(path: Path) -> Iterator[Interaction]:
    """The HTTP flows of a file, in its order; WebSockets and other protocols are left out."""
    with path.open("rb") as file:
        try:
            for flow in FlowReader(file).stream():
                if isinstance(flow, HTTPFlow) and not is_websocket(flow):
                    yield interaction_of(flow)
        except FlowReadException as error:
            raise BadInput(f"{path} is no file of mitmproxy flows, or damaged: {error}") from None


def is_websocket(flow: HTTPFlow) -> bool:
    """Whether a flow went over to another protocol."""
    return flow.response is not None and flow.response.status_code == SWITCHING


def interaction_of(flow: HTTPFlow) -> Interaction:
    """A flow. A body that was streamed, or left out, is missing and the answer counts as cut."""
    request, response = flow.request, flow.response
    body = body_of(response) if response else b""
    return Interaction(
        method=request.method,
        url=request.url,
        request_headers=headers_of(request.headers),
        request_body=body_of(request) or b"",
        status=response.status_code if response else None,
        response_headers=headers_of(response.headers) if response else (),
        response_body=body or b"",
        started_at=date_of(round(request.timestamp_start * NS_PER_S)),
        http_version=request.http_version,
        truncated=response is not None and (body is None or flow.error is not None),
        error=flow.error.msg if flow.error else None,
    )


def body_of(message: Message) -> bytes | None:
    """A body as it came, still encoded; None where it was not kept."""
    return message.raw_content


def headers_of(headers: MitmHeaders) -> Headers:
    """Headers as harness holds them."""
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in headers.fields
    )
