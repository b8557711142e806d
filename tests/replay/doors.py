"""A door without a socket, on a few exchanges: requests to it, and what is read of its answers."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.core.exchange import Exchange, Headers, Request, Response
from harness.core.fault_rules import rules_of
from harness.core.redaction import Rules
from harness.replay import service
from harness.replay.answers import Recorded
from harness.replay.books import Books
from harness.replay.connection import Answer
from harness.replay.desk import Desk
from harness.replay.door import Door
from harness.replay.gate import NO_LIMITS, Limits
from harness.replay.match import Library
from harness.replay.pacer import Lateness
from harness.replay.playback import Client
from harness.replay.reader import Incoming
from harness.replay.service import Outcome, Settings
from harness.replay.site import Site

S = 1_000_000_000
CHAT, MESSAGES, OLLAMA = "/v1/chat/completions", "/v1/messages", "/api/chat"
SSE: Headers = (("content-type", "text/event-stream"), ("x-ratelimit-limit-requests", "1"))
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 12}}\n\n'


def recorded(path: str, body: bytes, said: bytes) -> Exchange:
    chunks = ((10 * S, b"data: %b\n\n" % said), (20 * S, USAGE), (30 * S, b"data: [DONE]\n\n"))
    response = Response(200, SSE, 5 * S, chunks, 30 * S)
    return Exchange(Request("POST", f"http://up{path}", body=body), response, upstream="openai", connect_ns=S)


def door(*faults: str, limits: Limits = NO_LIMITS, speed: float = 1.0) -> Door:
    library: Library[Recorded] = Library(Rules.default())
    for label, (body, said) in enumerate(((b"{}", b"1"), (b"{}", b"2"), (b'{"model":"m"}', b"3")), 1):
        one = recorded(CHAT, body, said)
        library.add(str(label), one, Recorded(one, keep_connect=False))
    site = Site(library, Lateness(), speed, lambda _: None)
    site.keep_requests(1)
    made = Door(site, library, limits, rules_of({"faults": list(faults)}))
    facts = service.facts_of(library, Settings(speed=speed, kept_requests=1))
    made.administer = Desk(facts, Books(made)).answer
    return made


def outcome_of(one: Door) -> Outcome:
    desk = one.administer.__self__  # type: ignore[attr-defined]
    return service.outcome_of(desk.books.whole(), one.library, Settings(), 0)


def asking(
    path: str = CHAT,
    body: bytes = b"{}",
    *,
    at_s: float = 0,
    method: str = "POST",
    shown: Mapping[str, str] = MappingProxyType({}),
    **headers: str,
) -> Incoming:
    """A request; `headers` have underscores for dashes, as those in `shown`."""
    named = tuple((name.replace("_", "-"), value) for name, value in {**shown, **headers}.items())
    client = Client(head=method == "HEAD")
    return Incoming(Request(method, f"http://h{path}", named, body), client, round(at_s * S), keep_alive=True)


def head(answer: Answer) -> dict[str, str]:
    lines = answer.playback.blob.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    pairs = (line.partition(": ") for line in lines[1:])
    return {":status": lines[0].split()[1], **{name.lower(): value for name, _, value in pairs}}


def body(answer: Answer) -> Any:
    return json.loads(answer.playback.blob.partition(b"\r\n\r\n")[2])


def statuses(one: Door, *asked: Incoming) -> list[str]:
    return [head(one.answer(each))[":status"] for each in asked]
