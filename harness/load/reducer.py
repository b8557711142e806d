"""The reducer: from a worker's journal to its records, in a process of its own beside the worker.

    python -m harness.load.reducer FOLDER WORKER [--echo]

It reads the journal while it is written, until its end frame; or, when its stdin closes because the
worker is gone, until there is nothing more to read. So it ends by itself, whatever becomes of the
worker. On stdout it says in a line what became of each request (`Brief`), or with `--echo` writes every
record there too. Deriving takes a millisecond or two an answer, which the worker has not to spare.
"""

import argparse
import json
import os
import select
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from harness.core.derive import Derived, derive
from harness.core.exchange import Exchange, Request, Response, State
from harness.core.histogram import FINE_BITS, bucket_of
from harness.load.folder import Folder
from harness.load.journal import Answered, Ending, Frame, JournalReader, Sent, pieces_of
from harness.load.outcome import Facts, outcome_of
from harness.load.plan import Call, Plan
from harness.load.records import EndRecord, Phase, Result, Stamps, Tick, WorkerRecord

POLL_S = 0.05
NICE = 10
"""Deriving may wait, reading may not: where both want a core, the worker gets it."""
NS_PER_US = 1000
BRIEF = ("number", "call", "outcome", "error", "sent_ns", "end_ns", "response_bytes", "tokens_in",
         "tokens_out", "content_events")  # fmt: skip
"""The keys of a line on stdout: those of a `Result` that a worker has use for."""

STATES = {Ending.DONE: State.COMPLETE, Ending.CLOSED: State.COMPLETE, Ending.CANCELLED: State.CLIENT_ABORT}
"""As what an exchange ended; everything else is a cut."""

type Check = Callable[[Exchange, Derived], Iterable[str]]
"""Gives the names of the stream rules that an answer broke."""


class Reducer:
    """Makes a worker's frames into records. `check` is asked about each answer, where there is one."""

    def __init__(self, worker: int, plan: Plan, calls: Sequence[Call], check: Check | None = None) -> None:
        self.worker = worker
        self.plan = plan
        self.calls = calls
        self.check = check
        self.sent: dict[int, Sent] = {}

    def record(self, frame: Frame) -> WorkerRecord | Result | Tick | EndRecord | None:
        """The record of a frame; None for a request whose answer is still to come."""
        head = dict(frame.head)
        kind = head.pop("kind")
        if kind == "sent":
            sent = Sent(**head)
            self.sent[sent.number] = sent
            return None
        if kind == "answer":
            head["headers"] = tuple((name, value) for name, value in head["headers"])
            answered = Answered(**head)
            return self.result(self.sent.pop(answered.number), answered, frame.blob)
        return PLAIN[kind].model_validate(head)

    def result(self, sent: Sent, answered: Answered, blob: bytes) -> Result:
        """What happened to one request."""
        exchange = self.exchange(self.calls[sent.call], answered, blob)
        derived = derive(exchange)
        ending = Ending(answered.ending)
        facts = Facts(ending, answered.status, answered.error, derived, is_empty=not answered.pieces)
        outcome, error = outcome_of(facts)
        arrivals = [answered.sent_ns + offset for offset in derived.content_ns] if derived.stream else []
        return Result(
            worker=self.worker,
            number=sent.number,
            call=sent.call,
            phase=Phase(sent.phase),
            outcome=outcome,
            error=error,
            status=answered.status,
            scheduled_ns=sent.scheduled_ns,
            sent_ns=answered.sent_ns,
            connect_ns=answered.connect_ns,
            first_byte_ns=answered.first_byte_ns,
            first_token_ns=arrivals[0] if arrivals else None,
            second_token_ns=arrivals[1] if len(arrivals) > 1 else None,
            last_token_ns=arrivals[-1] if arrivals else None,
            end_ns=answered.end_ns,
            dialect=derived.dialect,
            model=derived.model,
            stream=derived.stream,
            finish_reason=derived.finish_reason,
            tokens_in=derived.usage.input,
            tokens_out=derived.usage.output,
            tokens_cached=derived.usage.cached,
            tokens_reasoning=derived.usage.reasoning,
            events=len(derived.events),
            content_events=len(derived.content_ns),
            icl=gaps(derived),
            shared_reads=shared_reads(derived),
            stamps=Stamps(answered.stamps),
            stamp_error_ns=answered.stamp_error_ns,
            request_bytes=answered.request_bytes,
            response_bytes=answered.response_bytes,
            offsets=offsets(derived) if self.plan.save_events else None,
            violations=tuple(self.check(exchange, derived)) if self.check else None,
        )

    def exchange(self, call: Call, answered: Answered, blob: bytes) -> Exchange:
        """An answer as an exchange, which is what everything is derived from."""
        request = Request(
            call.method, self.plan.target + call.path, call.headers, call.body.encode(), path=call.path
        )
        ended_ns = max(0, answered.end_ns - answered.sent_ns)
        state = STATES.get(Ending(answered.ending), State.UPSTREAM_CUT)
        if answered.status is None:
            return Exchange(request, None, State.CONNECT_FAILED, end_ns=ended_ns)
        chunks = tuple((max(0, at - answered.sent_ns), data) for at, data in pieces_of(blob, answered.pieces))
        head_ns = max(0, (answered.first_byte_ns or answered.end_ns) - answered.sent_ns)
        response = Response(answered.status, answered.headers, head_ns, chunks, ended_ns)
        return Exchange(request, response, state, end_ns=ended_ns)


PLAIN: dict[str, type[WorkerRecord | Tick | EndRecord]] = {
    "worker": WorkerRecord, "tick": Tick, "end": EndRecord,
}  # fmt: skip
"""Frames that are records as they are."""


def gaps(derived: Derived) -> tuple[tuple[int, int], ...]:
    """The gaps between content events as a histogram in µs."""
    return tuple(sorted(Counter(bucket_of(gap // NS_PER_US, FINE_BITS) for gap in derived.icl_ns).items()))


def shared_reads(derived: Derived) -> int:
    """Events that came in one read with a later one: they have its arrival."""
    times = [event.offset_ns for event in derived.events]
    return sum(before == after for before, after in pairwise(times))


def offsets(derived: Derived) -> tuple[tuple[int, bool], ...]:
    """The offset of each event, and whether it carried content (of those that came together, the first)."""
    content = Counter(derived.content_ns)
    kept = []
    for event in derived.events:
        carried = content[event.offset_ns] > 0
        content[event.offset_ns] -= carried
        kept.append((event.offset_ns, carried))
    return tuple(kept)


class Output:
    """Where records go: the file, and the worker, as long as it listens."""

    def __init__(self, file: TextIO, worker: TextIO, *, echo: bool) -> None:
        self.file = file
        self.worker: TextIO | None = worker
        self.echo = echo

    def write(self, record: WorkerRecord | Result | Tick | EndRecord) -> None:
        """Write one record."""
        line = record.model_dump_json(exclude_defaults=False)
        self.file.write(f"{line}\n")
        if self.echo:
            self.say(line)
        elif isinstance(record, Result):
            self.say(json.dumps({"kind": record.kind, **brief(record)}))

    def say(self, line: str) -> None:
        """Tell the worker; one that is gone hears nothing."""
        if self.worker is not None:
            try:
                self.worker.write(f"{line}\n")
            except OSError:
                self.worker = None

    def flush(self) -> None:
        """Let what was written be seen."""
        self.file.flush()
        if self.worker is not None:
            try:
                self.worker.flush()
            except OSError:
                self.worker = None


def brief(result: Result) -> dict[str, Any]:
    """What a worker wants to know of a result."""
    return {name: getattr(result, name) for name in BRIEF}


def reduce(reducer: Reducer, journal: JournalReader, output: Output, is_gone: Callable[[], bool]) -> bool:
    """Follow a journal to its end; False: it has none, the worker is gone. `is_gone` may wait a little."""
    while True:
        gone = is_gone()  # asked first: what was written before is read below
        for frame in journal.frames():
            record = reducer.record(frame)
            if record is not None:
                output.write(record)
            if isinstance(record, EndRecord):
                output.flush()
                return True
        output.flush()
        if gone:
            return False


def stdin_closes() -> bool:
    """Wait a little; True once the other end of stdin is gone."""
    ready, _, _ = select.select([0], [], [], POLL_S)
    return bool(ready) and not os.read(0, 4096)


def main(folder: Path, worker: int, check: Check | None = None, *, echo: bool = False) -> int:
    """Reduce a worker's journal; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, whose end ends this one
    os.nice(NICE)
    files = Folder(folder)
    reducer = Reducer(worker, files.plan(), files.calls(), check)
    journal = JournalReader(files.journal(worker))
    with files.records(worker).open("w", encoding="utf-8") as file:
        reduce(reducer, journal, Output(file, sys.stdout, echo=echo), stdin_closes)
    journal.close()
    with suppress(OSError):
        sys.stdout.flush()
    return 0


def run(program: str, check: Check | None = None) -> int:
    """The command line `FOLDER WORKER [--echo]` of a program that reduces; the exit code."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("folder", type=Path)
    parser.add_argument("worker", type=int)
    parser.add_argument("--echo", action="store_true", help="write the records to stdout too")
    given = parser.parse_args()
    code = main(given.folder, given.worker, check, echo=given.echo)
    sys.stdout = None  # a worker that is gone must not fail the exit
    return code


if __name__ == "__main__":
    raise SystemExit(run("python -m harness.load.reducer"))
