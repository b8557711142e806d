"""A replay server inside another program: in a thread with a loop of its own.

It sets no signal handler, changes nothing of the process that a test could see, and prints nothing but the
faults that it was asked to play.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Self

from harness.core.miss import Miss
from harness.replay.answers import Recorded
from harness.replay.match import Library
from harness.replay.service import Ears, Outcome, Service, Settings, loop_factory


class Embedded:
    """A server that runs from `start` to `stop`, or as long as a `with`.

    `on_miss` is called in its thread, before the answer to the request leaves.
    """

    def __init__(
        self, library: Library[Recorded], settings: Settings, on_miss: Callable[[Miss], None]
    ) -> None:
        self.library = library
        self.settings = settings
        self.ears = Ears(on_miss)
        self.stopping: Callable[[], object] = nothing
        self.ready: Future[str] = Future()
        self.ended: Future[Outcome] = Future()
        self.thread = Thread(target=self.run, name="harness replay", daemon=True)

    def start(self) -> str:
        """Begin to listen; the URL. BadInput where that cannot be."""
        self.thread.start()
        return self.ready.result()

    def stop(self) -> Outcome:
        """Stop; how it went. Whatever is under way is broken off."""
        self.stopping()
        self.thread.join()
        return self.ended.result()

    def run(self) -> None:
        """The life of the thread. What goes wrong is raised in the one that started it, or that stops it."""
        try:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                outcome = runner.run(self.serve())
        except BaseException as error:  # noqa: BLE001
            waited_for = self.ended if self.ready.done() else self.ready
            waited_for.set_exception(error)
        else:
            self.ended.set_result(outcome)

    async def serve(self) -> Outcome:
        """The life of the server."""
        service = Service(self.library, self.settings, self.ears)
        url = await service.listen()
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self.stopping = partial(loop.call_soon_threadsafe, stop.set)
        self.ready.set_result(url)
        await stop.wait()
        service.close()
        while service.connections:  # each lets go of its socket when the loop tells it of its end
            await asyncio.sleep(0)
        return service.outcome()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def nothing() -> None:
    """Do nothing."""
