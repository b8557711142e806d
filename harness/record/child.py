"""A process of the recorder as its supervisor sees it (its own side is `harness.record.process`)."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

from harness.core.errors import BadInput, HarnessError, NotRecorded

OPTIONS: Sequence[str] = ("-P", "-W", "ignore")
"""No modules from the working directory, which is the user's, and no warnings from libraries."""

LONGEST = 16 * 1024 * 1024
"""Bytes of a line: what was masked is told by rule, and headers have many names."""


class Child:
    """A child process that reads one line of JSON from stdin and answers with lines of JSON.

    It has a session of its own, so that Ctrl-C is ours to handle. `report` is all that it said, of which
    a `warning` is printed at once; `over` is done when its work is, because it failed or ended; `ended`
    when it is gone.
    """

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.process = process
        self.report: dict[str, Any] = {}
        self.over = asyncio.Event()
        self.ended = asyncio.ensure_future(self._until_ended())
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @classmethod
    async def start(cls, name: str, descriptor: int, *more: int) -> Self:
        """Start `harness.record.NAME` with one more open file, or some more that it is told of later."""
        command = [sys.executable, *OPTIONS, "-m", f"harness.record.{name}", str(descriptor)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            limit=LONGEST,
            pass_fds=(descriptor, *more),
            start_new_session=True,
        )
        return cls(name, process)

    async def ready(self, **settings: object) -> None:
        """Tell the child its settings and wait until it is ready; its own error where it cannot be."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(settings).encode() + b"\n")
        with suppress(OSError):  # it is gone already, which shows at once
            await self.process.stdin.drain()
        said = asyncio.ensure_future(self._said.get())
        await asyncio.wait({said, self.ended}, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            said.cancel()
            raise NotRecorded(f"the {self.name} did not start")
        message = said.result()
        if "failed" in message:
            raise error_of(message)

    def close(self) -> None:
        """Close the child's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def kill(self) -> None:
        """End the child by force."""
        with suppress(ProcessLookupError):
            self.process.kill()

    @property
    def failure(self) -> str | None:
        """Why the child's work is not whole, once it has ended; None: it is."""
        if "failed" in self.report:
            return str(self.report["failed"])
        code = self.process.returncode
        return None if code == 0 or "troubles" in self.report else f"the {self.name} ended with code {code}"

    async def _until_ended(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            self.report |= message
            self._said.put_nowait(message)
            if "warning" in message:
                print(f"harness record: {message['warning']}", file=sys.stderr, flush=True)
            if "failed" in message:
                self.over.set()
        await self.process.wait()
        self.over.set()


def error_of(message: dict[str, Any]) -> HarnessError:
    """The error that a child told of; without a code it was the user's."""
    kind = NotRecorded if message.get("code") == NotRecorded.exit_code else BadInput
    return kind(str(message["failed"]))
