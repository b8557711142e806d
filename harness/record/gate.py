"""The mitmproxy addon that refuses traffic once it cannot be recorded any more.

The law of this file: behind a closed gate no request reaches an upstream, and every client that can be
told is told why, as an error of an API that SDKs raise with its message.
"""

import json

from mitmproxy import http

STATUS = 503


class Gate:
    """Open until it is closed, with a reason; stands before the tee among the addons."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer instead of the upstream."""
        self.request(flow)

    def request(self, flow: http.HTTPFlow) -> None:
        """Answer a request that was under way when the gate was closed."""
        if self.reason is not None and flow.response is None:
            headers = {"content-type": "application/json", "connection": "close"}
            flow.response = http.Response.make(STATUS, refusal(self.reason), headers)


def refusal(reason: str) -> bytes:
    """The body of the answer, which both OpenAI's and Anthropic's SDKs read."""
    message = f"harness record refuses traffic that it cannot record: {reason}"
    return json.dumps({"type": "error", "error": {"type": "not_recorded", "message": message}}).encode()


def whole_refusal(reason: str) -> bytes:
    """The same as a whole HTTP/1.1 message."""
    body = refusal(reason)
    head = (
        f"HTTP/1.1 {STATUS} Service Unavailable\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
