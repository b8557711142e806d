"""What the processes of a server say to each other: one JSON object a line, on a socket pair.

The one that leads asks workers for their censuses and gives orders; a worker asks it for admin pages. An
answer has the `id` of what it answers; each side counts its own.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self

from harness.core.census import Census, Order, Wish
from harness.core.document import Document
from harness.replay.errand import Asked, Reply

LONGEST = 2**62
"""Bytes of a line: a census has the requests that were kept, which may be many and long."""


class Page(Document):
    """A request for an admin page, or its reply. Bytes, and text that is no Unicode, are Latin-1 here."""

    method: str = ""
    path: str = ""
    body: str = ""
    status: int = 0
    content_type: str = ""
    allow: str = ""

    @classmethod
    def asking(cls, asked: Asked) -> Self:
        """A request on its way."""
        return cls(method=packed(asked.method), path=packed(asked.path), body=asked.body.decode("latin-1"))

    @classmethod
    def replying(cls, reply: Reply) -> Self:
        """A reply on its way."""
        body = reply.body.decode("latin-1")
        return cls(status=reply.status, body=body, content_type=reply.content_type, allow=reply.allow)

    def asked(self) -> Asked:
        """The request as it was."""
        return Asked(unpacked(self.method), unpacked(self.path), self.body.encode("latin-1"))

    def reply(self) -> Reply:
        """The reply as it was."""
        return Reply(self.status, self.body.encode("latin-1"), self.content_type, self.allow)


class Message(Document):
    """One line. `ready`: a worker serves from now on; `end`: it shall not any more, and says its `whole`."""

    id: int = 0
    ready: bool = False
    wish: Wish | None = None
    census: Census | None = None
    order: Order | None = None
    done: bool = False
    asked: Page | None = None
    reply: Page | None = None
    end: bool = False
    whole: Census | None = None


def packed(text: str) -> str:
    """Text as Latin-1."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def unpacked(text: str) -> str:
    """The same, back."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


class Line:
    """One end of a conversation."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def on(cls, sock: socket.socket) -> Self:
        """The conversation on a socket."""
        return cls(*await asyncio.open_connection(sock=sock, limit=LONGEST))

    def say(self, message: Message) -> None:
        """Send a message; to nobody, if the other end is gone."""
        said = message.model_dump(mode="json", exclude_defaults=True)
        self.writer.write(json.dumps(said, separators=(",", ":")).encode() + b"\n")

    async def heard(self) -> AsyncIterator[Message]:
        """What the other end says, until it is gone."""
        try:
            while line := await self.reader.readline():
                yield Message.model_validate(json.loads(line))
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    async def sent(self) -> None:
        """Wait until all that was said is on its way, and end the conversation."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()
