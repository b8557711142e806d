"""A worker: one of several processes that serve; it gets its connections from the one that leads.

It ends when it is told to, or when the process that leads is gone. Signals of the terminal are left to
that process; a SIGTERM of its own ends it, which the leader notices.
"""

import asyncio
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from harness.replay.answers import Recorded
from harness.replay.connection import Connection
from harness.replay.desk import too_long
from harness.replay.errand import Asked, Reply, errands
from harness.replay.guard import Guard
from harness.replay.match import Library
from harness.replay.messages import Line, Message, Page
from harness.replay.service import Ears, Service, Settings, loop_factory
from harness.replay.shared import Shared

NO_FILE = "harness replay: a connection is dropped: no file is left for it; raise the limit (ulimit -Hn)"


@dataclass(frozen=True, slots=True)
class Work:
    """What every worker has."""

    library: Library[Recorded]
    settings: Settings
    ears: Ears
    guard: Guard | None
    shared: Shared


def run(work: Work, talk: socket.socket, clients: socket.socket) -> None:
    """Serve the connections that come over `clients` until `talk` says that it is enough."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    work.shared.open()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(work, talk, clients))


async def serve(work: Work, talk: socket.socket, clients: socket.socket) -> None:
    """A worker's life on its loop."""
    service = Service(work.library, work.settings, work.ears, work.guard)
    service.share(work.shared)
    line = await Line.on(talk)
    questions = Questions(line)
    if work.settings.admin_port is None:
        service.door.administer = errands(questions.ask)
    entrance = Entrance(clients, service.connection)
    line.say(Message(ready=True))
    async for message in line.heard():
        if message.end:
            break
        hear(message, service, questions, line)
    entrance.close()
    service.close()
    line.say(Message(whole=service.books.whole()))
    await line.sent()


def hear(message: Message, service: Service, questions: "Questions", line: Line) -> None:
    """Do what the leader says."""
    if message.order is not None:
        service.books.obey(message.order)
        line.say(Message(id=message.id, done=True))
    if message.wish is not None:
        line.say(Message(id=message.id, census=service.books.census(message.wish)))
    if message.reply is not None:
        questions.answered(message.id, message.reply)


class Questions:
    """Requests for admin pages that the leader is asked for."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.numbers = count(1)
        self.open: dict[int, asyncio.Future[Reply]] = {}

    async def ask(self, asked: Asked) -> Reply:
        """Ask for a page."""
        if refused := too_long(asked):
            return refused
        number = next(self.numbers)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.open[number] = future
        self.line.say(Message(id=number, asked=Page.asking(asked)))
        try:
            return await future
        finally:
            del self.open[number]

    def answered(self, number: int, reply: Page) -> None:
        """A page has come; perhaps nobody waits for it any more."""
        if (future := self.open.get(number)) and not future.done():
            future.set_result(reply.reply())


class Entrance:
    """Where connections come in: their files, one with each byte."""

    def __init__(self, clients: socket.socket, factory: Callable[[], Connection]) -> None:
        self.clients = clients
        self.factory = factory
        self.loop = asyncio.get_running_loop()
        self.accepting: set[asyncio.Task[object]] = set()
        clients.setblocking(False)
        self.loop.add_reader(clients.fileno(), self.take)

    def take(self) -> None:
        """Take what has come."""
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self.clients, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                data, files = b"", []
            if not data:
                self.close()
                return
            for fd in files:
                self.welcome(socket.socket(fileno=fd))
            if not files:
                print(NO_FILE, file=sys.stderr, flush=True)

    def welcome(self, client: socket.socket) -> None:
        """Serve a client."""
        client.setblocking(False)
        task = asyncio.ensure_future(self.loop.connect_accepted_socket(self.factory, client))
        self.accepting.add(task)
        task.add_done_callback(self.accepted)

    def accepted(self, task: "asyncio.Task[object]") -> None:
        """A client that has left by now is no failure."""
        self.accepting.discard(task)
        if not task.cancelled():
            task.exception()

    def close(self) -> None:
        """Take no more."""
        self.loop.remove_reader(self.clients.fileno())


def process(work: Work, talk: socket.socket, clients: socket.socket, others: list[socket.socket]) -> int:
    """Start a worker in a process of its own; its id. `others` are files that it has no use for."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for one in others:
            one.close()
        run(work, talk, clients)
        code = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)
