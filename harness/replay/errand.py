"""Asking for admin pages, and errands: replies that another process, or a task of this one, has to fetch."""

import asyncio
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from harness.replay.answers import instant
from harness.replay.connection import Answer, Playing
from harness.replay.pacer import Pacer, Wire
from harness.replay.playback import Ending, Playback
from harness.replay.reader import Incoming

JSON = "application/json"
NOTHING = Playback(b"", array("q"), array("Q"), Ending.KEEP)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page. `path` has the query."""

    method: str
    path: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """What it gets."""

    status: int
    body: bytes
    content_type: str = JSON
    allow: str = ""

    def answer(self, incoming: Incoming) -> Answer:
        """The same for a connection."""
        allow = (("allow", self.allow),) if self.allow else ()
        headers = (("content-type", self.content_type), *allow)
        return Answer(instant(self.status, self.body, incoming.client, headers), instant=True)


type Fetch = Callable[[Asked], Awaitable[Reply]]
"""Fetches what a request for an admin page gets."""


def asked_of(incoming: Incoming) -> Asked:
    """What a request asks of the desk."""
    return Asked(incoming.request.method, incoming.request.path, incoming.request.body)


class Errand:
    """A request whose reply is being fetched; for its client's connection it is what is being played."""

    def __init__(self, fetch: Fetch, incoming: Incoming, client: Wire, ended: Callable[[], None]) -> None:
        self.blocked = False
        self.task = asyncio.ensure_future(self.run(fetch, incoming, client, ended))

    async def run(self, fetch: Fetch, incoming: Incoming, client: Wire, ended: Callable[[], None]) -> None:
        """Fetch the reply, and write it."""
        reply = await fetch(asked_of(incoming))
        if not client.transport.is_closing():
            said = reply.answer(incoming).playback.blob
            client.transport.write(client.seal(said) if client.seal else said)
            ended()

    def caught_up(self, _pacer: Pacer) -> None:
        """Nothing waits for the client."""

    def client_left(self) -> None:
        """Nobody waits for the reply."""
        self.task.cancel()


def errands(fetch: Fetch) -> Callable[[Incoming], Answer]:
    """Answers by errands."""

    def answer(incoming: Incoming) -> Answer:
        def begin(client: Wire, ended: Callable[[], None]) -> Playing:
            return Errand(fetch, incoming, client, ended)

        return Answer(NOTHING, begin=begin)

    return answer
