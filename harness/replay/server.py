"""The replay server: loads recordings, listens, plays until it is stopped, and sums up."""

import asyncio
import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial, reduce
from operator import or_
from pathlib import Path

from harness.core.admin import RecordedCapture, RecordedFile
from harness.core.exchange import Exchange, path_of
from harness.core.matching.matcher import Matching
from harness.core.matching.rules import MatchRules
from harness.core.miss import Miss, miss_text
from harness.core.redaction import Rules
from harness.core.run_secrets import RunSecrets, secrets_of
from harness.core.url import origin_text
from harness.core.visible import counted
from harness.replay.answers import Recorded
from harness.replay.door import ADMIN
from harness.replay.guard import Guard
from harness.replay.match import Library, Order
from harness.replay.service import Ears, Outcome, Service, Settings, loop_factory
from harness.store.capture import Capture
from harness.store.open import open_recording
from harness.store.recording import Recording

MADE_AT_ONCE = 1000
"""Exchanges whose playbacks are made before the server listens; those of others when they are asked for."""


def load(
    paths: Iterable[Path],
    *,
    keep_connect: bool,
    rules: MatchRules | None = None,
    order: Order | None = None,
    by_origin: bool = False,
) -> Library[Recorded]:
    """All exchanges of some recordings, in their order; labels are ids behind `prefixes_of`.

    `by_origin`: as clients of a proxy ask for them, at their origins and with their URLs' own paths.
    """
    files = list(dict.fromkeys(paths))
    with ExitStack() as stack:
        recordings = [stack.enter_context(open_recording(path)) for path in files]
        known = RunSecrets(secrets_of(os.environ))
        library: Library[Recorded] = Library(rules_of(recordings), known, Matching(rules), order)
        for prefix, recording in zip(prefixes_of(files), recordings, strict=True):
            masked = masked_captures(recording, library.redactor.rules)
            began: list[str] = []
            for exchange in recording.exchanges():
                began.append(exchange.started_at)
                early = len(library.by_label) < MADE_AT_ONCE
                answer = Recorded(exchange, keep_connect=keep_connect, at_once=early)
                asked = at_origin(exchange) if by_origin else exchange
                library.add(f"{prefix}{exchange.id}", asked, answer, masked=exchange.capture in masked)
            library.recordings.append(told_of(recording, began))
    return library


def told_of(recording: Recording, began: list[str]) -> RecordedFile:
    """What the admin pages say of a recording whose exchanges began then; ages are told when asked for."""
    dated = sorted((one for one in began if one), key=lambda one: one.rstrip("Z"))
    return RecordedFile(
        file=str(recording.path),
        exchanges=len(began),
        oldest_at=dated[0] if dated else None,
        newest_at=dated[-1] if dated else None,
        age_days=None,
        captures=tuple(map(told_capture, recording.captures())),
    )


def told_capture(capture: Capture) -> RecordedCapture:
    """What they say of a capture."""
    return RecordedCapture(
        id=capture.id,
        started_at=capture.started_at,
        ended_at=capture.ended_at,
        age_days=None,
        upstreams=dict(capture.upstreams),
    )


def at_origin(exchange: Exchange) -> Exchange:
    """An exchange whose upstream is its origin, asked for by the path of its URL (a bad URL: as it is)."""
    request = exchange.request
    try:
        upstream = origin_text(request.url)
    except ValueError:
        return replace(exchange, upstream="")
    return replace(exchange, upstream=upstream, request=replace(request, path=path_of(request.url)))


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing that is loaded becomes garbage: the collector need not look at all of it again and again."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def masked_captures(recording: Recording, rules: Rules) -> frozenset[int]:
    """The captures whose requests went through these very rules, so that they need not go again."""
    return frozenset(capture.id for capture in recording.captures() if capture.redaction == rules)


def prefixes_of(files: Sequence[Path]) -> list[str]:
    """What stands before an id in a label: nothing for one file, else its name, or its path if need be."""
    if len(files) == 1:
        return [""]
    names = Counter(path.name for path in files)
    return [f"{path.name if names[path.name] == 1 else path}:" for path in files]


def rules_of(recordings: Iterable[Recording]) -> Rules:
    """What any of the recordings calls secret, and what harness does by default."""
    captures = (capture for recording in recordings for capture in recording.captures())
    return reduce(or_, (capture.redaction or Rules() for capture in captures), Rules.default())


def run(
    library: Library[Recorded],
    settings: Settings,
    program: Callable[[str], Awaitable[int]] | None,
    guard: Guard | None = None,
) -> Outcome:
    """Serve until SIGINT or SIGTERM, or until `program`, which gets the server's URL, has ended.

    What `guard` finds wrong is answered with 400.
    """
    raise_file_limit()
    keep_out_of_collection()
    told = partial(tell_ready, len(library.by_label), settings.hints if program is None else no_hints)
    ears = Ears(tell_miss, tell)
    if settings.workers > 1:
        from harness.replay import crew  # noqa: PLC0415  it needs a system that forks
        from harness.replay.shared import Shared  # noqa: PLC0415
        from harness.replay.worker import Work  # noqa: PLC0415

        return crew.run(Work(library, settings, ears, guard, Shared()), program, told)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(partial(Service, library, settings, ears, guard), program, told))


async def serve(
    make: Callable[[], Service],
    program: Callable[[str], Awaitable[int]] | None,
    told: Callable[[str, str | None], None],
) -> Outcome:
    """The server's life on its loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    service = make()
    url = await service.listen()
    told(url, service.admin_url)
    try:
        code = await until_ended(stop, program(url) if program else None)
    finally:
        service.close()
    return service.outcome(code)


def tell_ready(
    exchanges: int, hints: Callable[[str], Iterable[str]], url: str, admin_url: str | None
) -> None:
    """Say on stdout where the server listens, where its admin pages are if not there, and the hints."""
    if admin_url:
        print(f"harness replay: admin pages at {admin_url}{ADMIN}", flush=True)
    print(f"harness replay: listening on {url} ({counted(exchanges, 'exchange')})", flush=True)
    for line in hints(url):
        print(line, flush=True)


def no_hints(_url: str) -> tuple[str, ...]:
    """None: a program is started that needs none."""
    return ()


async def until_ended(stop: asyncio.Event, program: Awaitable[int] | None) -> int:
    """Wait for a signal, or for the program to end by itself; its exit code."""
    if program is None:
        await stop.wait()
        return 0
    running = asyncio.ensure_future(program)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return await running


def keep_out_of_collection() -> None:
    """What is loaded stays for good: the garbage collector need not walk through it again and again."""
    gc.freeze()


def raise_file_limit() -> None:
    """A stream is a file: allow as many as the system lets us."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tell(line: str) -> None:
    """Say something on stderr at once."""
    print(f"harness replay: {line}", file=sys.stderr, flush=True)


def tell_miss(miss: Miss) -> None:
    """Say on stderr that a request missed, and what was near."""
    tell(f"miss: {miss_text(miss)}")
