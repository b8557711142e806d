"""The accounts of a run: what each worker sent, against what was recorded of it.

The law of this file: nothing is taken for granted. What was sent is counted in the journal on disk,
frame by frame, and what was recorded in the records; where there is no journal (a worker on another
machine), the worker's own last count must do, and the account says so.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.core.visible import counted
from harness.load.folder import Folder
from harness.load.journal import JournalReader
from harness.load.records import RECORD, EndRecord, Record, Result, Tick

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Account:
    """One worker. `unanswered` and `unrecorded` are numbers of requests.

    - `sent`: by its journal; by its last words where `has_journal` is False. - `recorded`: its results.
    - `unanswered`: sent, and nothing is known of what came back: the worker died under them.
    - `unrecorded`: answered, but without a result. - `twice`: results beyond one a request.
    - `end`: its last record; None: it did not end in order.
    """

    worker: int
    sent: int
    recorded: int
    unanswered: tuple[int, ...] = ()
    unrecorded: tuple[int, ...] = ()
    twice: int = 0
    end: EndRecord | None = None
    has_journal: bool = True

    @property
    def is_equal(self) -> bool:
        """Whether everything that was sent is recorded, once."""
        return self.sent == self.recorded and self.end is not None and not self.twice

    def differences(self) -> list[str]:
        """What is wrong, one short text each; none where sent and recorded are equal."""
        who = f"worker {self.worker}"
        found = []
        if self.end is None:
            unknown = "" if self.has_journal else "; what it sent after its last word is unknown"
            found.append(f"{who} did not end in order: killed, or its machine is gone{unknown}")
        if self.unanswered:
            what = counted(len(self.unanswered), "request")
            found.append(f"{who} sent {what} whose answers are lost: {listed(self.unanswered)}")
        if self.unrecorded:
            what = counted(len(self.unrecorded), "answer")
            found.append(f"{who} has {what} without a record: {listed(self.unrecorded)}")
        if self.twice:
            found.append(f"{who} has {counted(self.twice, 'record')} too many")
        missing = self.sent - self.recorded
        if missing > 0 and not self.unanswered and not self.unrecorded:
            found.append(f"{who} sent {counted(self.sent, 'request')}, of which {missing} have no record")
        return found


def accounts(folder: Folder, workers: Iterable[int] | None = None) -> list[Account]:
    """The accounts of these workers; of all that left something in the folder where none are named."""
    return [account(folder, worker) for worker in (workers_in(folder) if workers is None else workers)]


def workers_in(folder: Folder) -> list[int]:
    """The workers that left a journal or records."""
    paths = [*folder.path.glob("journal-*.bin"), *folder.path.glob("records-*.jsonl")]
    return sorted({int(path.stem.partition("-")[2]) for path in paths})


def account(folder: Folder, worker: int) -> Account:
    """The account of one worker."""
    results, last, end = recorded(folder, worker)
    known = set(results)
    twice = len(results) - len(known)
    if not folder.journal(worker).exists():
        sent = end.sent if end else max(last.sent if last else 0, len(known))
        return Account(worker, sent, len(known), twice=twice, end=end, has_journal=False)
    sent_numbers, answered = journalled(folder, worker)
    return Account(
        worker,
        sent=len(sent_numbers),
        recorded=len(known),
        unanswered=tuple(sorted(sent_numbers - answered - known)),
        unrecorded=tuple(sorted(answered - known)),
        twice=twice,
        end=end,
    )


def recorded(folder: Folder, worker: int) -> tuple[list[int], Tick | None, EndRecord | None]:
    """The numbers of a worker's results, its last tick, and its end."""
    results: list[int] = []
    last: Tick | None = None
    end: EndRecord | None = None
    for record in readable(folder.records(worker)):
        if isinstance(record, Result):
            results.append(record.number)
        elif isinstance(record, Tick):
            last = record
        elif isinstance(record, EndRecord):
            end = record
    return results, last, end


def readable(path: Path) -> Iterator[Record]:
    """The records of a file, one in memory at a time; lines that are none are the gatherer's to name."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                with suppress(ValidationError):
                    yield RECORD.validate_json(line)


def journalled(folder: Folder, worker: int) -> tuple[set[int], set[int]]:
    """The numbers that a worker's journal says were sent, and those whose answer it holds."""
    numbers: dict[str, set[int]] = {"sent": set(), "answer": set()}
    journal = JournalReader(folder.journal(worker), blobs=False)
    for frame in journal.frames():
        if frame.head["kind"] in numbers:
            numbers[frame.head["kind"]].add(frame.head["number"])
    journal.close()
    return numbers["sent"], numbers["answer"]


def listed(numbers: tuple[int, ...]) -> str:
    """The first few numbers."""
    shown = ", ".join(map(str, numbers[:SHOWN]))
    return f"{shown}, …" if len(numbers) > SHOWN else shown
