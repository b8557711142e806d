"""The folder of a run, in which its processes meet.

| file | written by | what it is |
|---|---|---|
| `plan.json` | the parent, before anything starts | the plan (`harness.load.plan`) |
| `calls.jsonl` | the parent | the calls, one a line; number n of a run makes call n modulo their count |
| `arrivals.bin` | the parent, of open loops | due times, ns from the start, as an array of 64-bit integers |
| `journal-N.bin` | worker N | what it sent and got, as it came (`harness.load.journal`) |
| `records-N.jsonl` | worker N's reducer; the master for a worker elsewhere | `harness.load.records` |
| `reducer-N.log` | worker N's reducer | its stderr |

Worker N of n makes the numbers N, N + n, N + 2n, ...
"""

from array import array
from collections.abc import Iterable
from pathlib import Path

from harness.core.errors import BadInput
from harness.load.plan import Call, Plan

VARIABLE = "HARNESS_LOAD_FOLDER"
"""The variable of the environment that tells a Locust file its run's folder."""

PARENT = "HARNESS_LOAD_PARENT"
"""The variable that tells a Locust file the process id of its `harness load`, with which it ends."""


class Folder:
    """The files of a run below `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan_file = path / "plan.json"
        self.calls_file = path / "calls.jsonl"
        self.arrivals_file = path / "arrivals.bin"

    def journal(self, worker: int) -> Path:
        """The journal of a worker."""
        return self.path / f"journal-{worker}.bin"

    def records(self, worker: int) -> Path:
        """The records of a worker."""
        return self.path / f"records-{worker}.jsonl"

    def reducer_log(self, worker: int) -> Path:
        """What a worker's reducer said on its stderr."""
        return self.path / f"reducer-{worker}.log"

    def write(self, plan: Plan, calls: Iterable[Call], arrivals_ns: Iterable[int] = ()) -> None:
        """Lay out a run."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.plan_file.write_text(plan.model_dump_json(), encoding="utf-8")
        with self.calls_file.open("w", encoding="utf-8") as file:
            file.writelines(f"{call.model_dump_json()}\n" for call in calls)
        self.arrivals_file.write_bytes(array("q", arrivals_ns).tobytes())

    def plan(self) -> Plan:
        """The plan."""
        return Plan.model_validate_json(self.plan_file.read_bytes())

    def calls(self) -> list[Call]:
        """The calls; BadInput where there is none."""
        with self.calls_file.open("rb") as file:
            calls = [Call.model_validate_json(line) for line in file]
        if not calls:
            raise BadInput(f"{self.calls_file} holds no calls")
        return calls

    def arrivals_ns(self) -> "array[int]":
        """The due times; empty for a closed loop."""
        return array("q", self.arrivals_file.read_bytes())
