"""Several processes that serve on one port, and the one that leads them.

The leader accepts connections and hands them on, to one worker after the other: so the load is even,
whatever their addresses, and none is lost in the queue of a process that ends. It plays nothing itself. It
answers for all of them: admin pages, orders, the sum at the end. A worker that ends by itself ends the
server, with an error, since what it counted is gone.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from harness.core.census import Census, Order, Wish, merged
from harness.core.errors import Untrusted
from harness.core.url import server_url
from harness.kernel_stamps import enable
from harness.replay.connection import Connection
from harness.replay.desk import Facts, planned, refusal, shown
from harness.replay.errand import Asked, Reply, errands
from harness.replay.messages import Line, Message, Page
from harness.replay.pacer import Pacer
from harness.replay.service import (
    BACKLOG,
    Outcome,
    Settings,
    cannot_listen,
    facts_of,
    listen,
    loop_factory,
    only_admin,
    outcome_of,
)
from harness.replay.site import refused
from harness.replay.worker import Work, process

GRACE_S = 5.0
"""How long a worker may take to end before it is killed."""
RETRY_S = 0.005
"""When to look again for a worker that can take a connection."""
SHARED = ("cursors", "limits")
"""What begins again for all workers at once."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)

type Program = Callable[[str], Awaitable[int]]


class Gone(Exception):
    """A worker that is asked something has ended."""


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as its leader sees it. `waiting` are the answers that it owes."""

    pid: int
    talk: socket.socket
    clients: socket.socket
    line: Line | None = None
    waiting: dict[int, asyncio.Future[Message]] = field(default_factory=dict)
    whole: Census | None = None
    is_ready: bool = False
    status: int = 0

    @property
    def fate(self) -> str:
        """How its process ended."""
        code = os.waitstatus_to_exitcode(self.status)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    async def ask(self, message: Message) -> Message:
        """What it answers. Raises Gone."""
        assert self.line is not None
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.waiting[message.id] = future
        self.line.say(message)
        try:
            return await future
        finally:
            self.waiting.pop(message.id, None)

    def take(self, connection: socket.socket) -> bool:
        """Hand a connection to it; False where it does not keep up."""
        try:
            socket.send_fds(self.clients, [b"\0"], [connection.fileno()])
        except BlockingIOError:
            return False
        except OSError:  # it is gone, which its line tells
            return False
        return True


def run(work: Work, program: Program | None, told: Callable[[str, str | None], None]) -> Outcome:
    """Serve with as many workers as the settings say; as `harness.replay.server.run` does with none.

    `told` says the URL, and that of the admin pages. Raises Untrusted, and BadInput for a port that is taken.
    """
    with work_files(work), blocked():
        listeners = listeners_on(work.settings.host, work.settings.port)
        workers = hired(work, listeners)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(Crew(work, workers, listeners).lead(program, told))


@contextmanager
def blocked() -> Iterator[None]:
    """Signals wait until somebody listens to them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def work_files(work: Work) -> Iterator[None]:
    """Whatever happens, no file of the shared counts stays."""
    try:
        yield
    finally:
        work.shared.forget_files()


def hired(work: Work, listeners: list[socket.socket]) -> list[Worker]:
    """Start the workers."""
    workers: list[Worker] = []
    for _ in range(work.settings.workers):
        talk, its_talk = socket.socketpair()
        clients, its_clients = socket.socketpair()
        others = [*listeners, talk, clients, *(end for one in workers for end in (one.talk, one.clients))]
        sys.stdout.flush()
        workers.append(Worker(process(work, its_talk, its_clients, others), talk, clients))
        its_talk.close()
        its_clients.close()
        clients.setblocking(False)
    return workers


class Crew:
    """The workers, led by this process."""

    def __init__(self, work: Work, workers: list[Worker], listeners: list[socket.socket]) -> None:
        self.work = work
        self.workers = workers
        self.listeners = listeners
        self.facts: Facts = facts_of(work.library, work.settings)
        self.numbers = count(1)
        self.turn = 0
        self.admin: asyncio.Server | None = None
        self.lost: Worker | None = None
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.ending = False
        self.tasks: set[asyncio.Task[None]] = set()

    async def lead(self, program: Program | None, told: Callable[[str, str | None], None]) -> Outcome:
        """The leader's life on its loop."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.stop.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.work.shared.open()
        hearing = [self.begin(self.hear(worker, await self.met(worker))) for worker in self.workers]
        code, pacer = 0, Pacer(loop)
        try:
            await either(self.ready, self.stop)
            if not self.stop.is_set():
                self.work.shared.forget_files()  # all have opened them
                url, admin_url = self.open(), await self.open_admin(pacer)
                told(url, admin_url)
                code = await self.until_ended(program(url) if program else None)
        finally:
            await self.end(hearing)
            pacer.close()
        return outcome_of(merged(self.wholes()), self.work.library, self.work.settings, code)

    async def met(self, worker: Worker) -> Line:
        """The conversation with a worker."""
        worker.line = await Line.on(worker.talk)
        return worker.line

    def begin(self, task: Awaitable[None]) -> "asyncio.Task[None]":
        """Do something beside."""
        begun = asyncio.ensure_future(task)
        assert isinstance(begun, asyncio.Task)
        self.tasks.add(begun)
        begun.add_done_callback(self.tasks.discard)
        return begun

    async def hear(self, worker: Worker, line: Line) -> None:
        """Listen to a worker until it is gone."""
        try:
            async for message in line.heard():
                self.take_in(worker, message)
        finally:
            for future in worker.waiting.values():
                if not future.done():
                    future.set_exception(Gone)
            if not self.ending and self.lost is None:
                self.lost = worker
                self.stop.set()

    def take_in(self, worker: Worker, message: Message) -> None:
        """Do with a message what is to be done."""
        if message.asked is not None:
            self.begin(self.serve(worker, message.id, message.asked.asked()))
        elif message.whole is not None:
            worker.whole = message.whole
        elif message.ready:
            worker.is_ready = True
            if all(one.is_ready for one in self.workers):
                self.ready.set()
        elif (future := worker.waiting.get(message.id)) and not future.done():
            future.set_result(message)

    # ---- connections ----

    def open(self) -> str:
        """Accept connections from now on; the URL."""
        loop = asyncio.get_running_loop()
        for one in self.listeners:
            enable(one)  # its connections inherit it
            loop.add_reader(one.fileno(), self.accept, one)
        return server_url(self.work.settings.host, self.listeners[0].getsockname()[1])

    def accept(self, listener: socket.socket) -> None:
        """Hand on what has come; while no worker keeps up, the next ones wait in the kernel."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # none is left, or it left again, or no file is free
                return
            if not self.hand_on(connection):
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener.fileno())
                loop.call_later(RETRY_S, self.retry, listener, connection)
                return

    def retry(self, listener: socket.socket, connection: socket.socket) -> None:
        """Look again for a worker that can take a connection."""
        loop = asyncio.get_running_loop()
        if self.ending:
            connection.close()
        elif self.hand_on(connection):
            loop.add_reader(listener.fileno(), self.accept, listener)
        else:
            loop.call_later(RETRY_S, self.retry, listener, connection)

    def hand_on(self, connection: socket.socket) -> bool:
        """Give a connection to the worker whose turn it is, or to the next that keeps up."""
        for _ in self.workers:
            worker = self.workers[self.turn]
            self.turn = (self.turn + 1) % len(self.workers)
            if worker.take(connection):
                connection.close()
                return True
        return False

    # ---- admin pages ----

    async def open_admin(self, pacer: Pacer) -> str | None:
        """Listen on the admin port, if there is one; the URL."""
        settings: Settings = self.work.settings
        if settings.admin_port is None:
            return None
        answer = only_admin(errands(self.reply))
        factory = partial(Connection, pacer, answer, refused, set())
        self.admin = await listen(factory, settings.host, settings.admin_port, "admin-port")
        return server_url(settings.host, self.admin.sockets[0].getsockname()[1])

    async def serve(self, worker: Worker, number: int, asked: Asked) -> None:
        """Answer a worker that was asked for an admin page."""
        reply = await self.reply(asked)
        if worker.line is not None:
            worker.line.say(Message(id=number, reply=Page.replying(reply)))

    async def reply(self, asked: Asked) -> Reply:
        """An admin page about all workers."""
        plan = planned(asked, self.facts)
        if isinstance(plan, Reply):
            return plan
        try:
            if plan.order:
                await self.order(plan.order)
            census = merged(await self.gather(plan.wish))
        except Gone:
            return refusal(503, "a worker has ended")
        return shown(plan, census, self.facts)

    async def gather(self, wish: Wish) -> list[Census]:
        """The censuses of all."""
        messages = [Message(id=next(self.numbers), wish=wish) for _ in self.workers]
        answers = await self.of_all(messages)
        return [one.census for one in answers if one.census is not None]

    async def order(self, order: Order) -> None:
        """Have all obey. What they share is changed here, once."""
        if "cursors" in order.reset:
            self.work.shared.reset()
        if order.session is not None:
            self.work.shared.reset(order.session)
        if "limits" in order.reset:
            self.work.shared.reset_limits()
        own = tuple(what for what in order.reset if what not in SHARED)
        theirs = order.model_copy(update={"reset": own, "session": None})
        self.facts.learn(order)
        await self.of_all([Message(id=next(self.numbers), order=theirs) for _ in self.workers])

    async def of_all(self, messages: list[Message]) -> list[Message]:
        """The answers of all workers, each to its message."""
        asking = (worker.ask(one) for worker, one in zip(self.workers, messages, strict=True))
        return await asyncio.gather(*asking)

    # ---- the end ----

    async def until_ended(self, program: Awaitable[int] | None) -> int:
        """Wait for a signal, a lost worker, or for the program to end by itself; its exit code."""
        if program is None:
            await self.stop.wait()
            return 0
        running = asyncio.ensure_future(program)
        stopped = asyncio.ensure_future(self.stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self.lost is not None:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            return 1
        return await running

    async def end(self, hearing: "list[asyncio.Task[None]]") -> None:
        """Accept nothing more, and have all workers say their last and end; by force if they do not."""
        self.ending = True
        loop = asyncio.get_running_loop()
        for one in self.listeners:
            loop.remove_reader(one.fileno())
            one.close()
        if self.admin is not None:
            self.admin.close()
        for worker in self.workers:
            if worker.line is not None:
                worker.line.say(Message(end=True))
        await asyncio.gather(*map(bury, self.workers))
        await asyncio.wait(hearing, timeout=GRACE_S)  # what they said is here by now
        for task in self.tasks:
            task.cancel()

    def wholes(self) -> list[Census]:
        """What each worker counted. Untrusted where one ended by itself, or did not say it."""
        silent = (worker for worker in self.workers if worker.whole is None)
        lost = self.lost or next(silent, None)
        if lost is not None:
            raise Untrusted(f"worker {lost.pid} {lost.fate}: what it counted is lost, so the server ended")
        return [worker.whole for worker in self.workers if worker.whole is not None]


async def bury(worker: Worker) -> None:
    """Wait for the end of a worker's process, which is forced where it does not come."""
    gone = asyncio.ensure_future(asyncio.to_thread(os.waitpid, worker.pid, 0))
    await asyncio.wait({gone}, timeout=GRACE_S)
    if not gone.done():
        os.kill(worker.pid, signal.SIGKILL)
    _, worker.status = await gone


async def either(*events: asyncio.Event) -> None:
    """Wait for the first of some events."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


def listeners_on(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on all addresses of a host, at one port. BadInput where that cannot be."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, address in dict.fromkeys(found):
            at = port or (made[0].getsockname()[1] if made else 0)
            one = socket.create_server((address[0], at), family=family, backlog=BACKLOG)
            one.setblocking(False)
            made.append(one)
    except OSError as error:
        for one in made:
            one.close()
        raise cannot_listen(host, port, "port", error) from error
    return made
