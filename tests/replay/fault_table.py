"""The table of docs/faults.md: what the official SDK and curl make of each fault, as seen by the real ones.

`python -m tests.replay.fault_table`, in the root of the repository, writes it there anew.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openai

from harness.child import Child, harness_command

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
RECORDING = ROOT / "recordings" / "tiny-llama.db"
BLOCK = re.compile(r"(<!-- seen: written by tests/replay/fault_table.py -->\n).*?(<!-- end -->)", re.DOTALL)
PLAIN, STREAM = "1", "3"
"""Ids of a chat completion in the recording, plain and streamed."""
PATIENCE_S, WAIT_S = 0.3, 30.0


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, as the request's header asks for it. `late_s`: how long any answer then takes at least.

    `impatient`: the clients do not wait for long.
    """

    fault: str
    late_s: float = 0
    impatient: bool = False

    @property
    def wait_s(self) -> float:
        """How long the clients wait for a byte."""
        return PATIENCE_S if self.impatient else WAIT_S


CASES = (
    Case("none"),
    Case("error; status=429; retry_after=2s"),
    Case("error; status=500"),
    Case("error; status=503"),
    Case("error; status=529"),
    Case("cut"),
    Case("cut; byte=0"),
    Case("cut; event=3"),
    Case("reset"),
    Case("reset; byte=30"),
    Case("stall; for=200ms", 0.2),
    Case("stall; for=1m", impatient=True),
    Case("trickle; rate=20000", 0.04),
    Case("malformed; how=json"),
    Case("malformed; how=utf8"),
    Case("no-terminator"),
    Case("duplicate; event=2"),
    Case("delay; for=200ms", 0.2),
    Case("delay; for=1m", impatient=True),
    Case("content-type"),
    Case("comments"),
)
CURL_OPTIONS = (
    "--silent",
    "--no-buffer",
    "--fail",
    *("--write-out", "%{stderr}%{time_total} %{content_type}"),
    *("--data", "{}"),
)
CURL = {
    18: "partial transfer",
    22: "HTTP error",
    28: "timed out",
    52: "empty reply",
    56: "connection reset",
}
"""The exit codes of curl that a fault can have."""
DIFFERENT = "other than recorded"


class Clients:
    """The clients of a server that replays the recording at once. `usual`: what they got without a fault."""

    def __init__(self, url: str, sdk: openai.OpenAI) -> None:
        self.url = url
        self.client = sdk
        self.usual: dict[str, list[str]] = {}

    def row(self, case: Case) -> tuple[str, ...]:
        """The cells of a case."""
        seen = self.sdk(case, self.streamed), self.sdk(case, self.plain), self.curl(case)
        return (f"`{case.fault}`" + (f", waiting {PATIENCE_S:g} s" if case.impatient else ""), *seen)

    def sdk(self, case: Case, call: Callable[[Case], list[str]]) -> str:
        """What the SDK does with a fault: what it raises, or gives, and how late."""
        start = time.monotonic()
        try:
            got = call(case)
        except Exception as error:  # noqa: BLE001  whatever it raises is what the table is about
            return f"raises `{name_of(error)}`"
        return self.said(case, call.__name__, got, time.monotonic() - start)

    def said(self, case: Case, what: str, got: list[str], took_s: float) -> str:
        """How an answer differs from the recorded one, and whether it is late."""
        usual = self.usual.setdefault(what, got)
        said = "as recorded" if got == usual else DIFFERENT
        if len(got) != len(usual):
            said = f"{len(got)} chunks instead of {len(usual)}"
        return f"{said}, late" if case.late_s and took_s >= case.late_s else said

    def streamed(self, case: Case) -> list[str]:
        """The chunks of a stream."""
        asked = {"x-harness-fault": case.fault, "x-harness-exchange": STREAM}
        create = self.client.chat.completions.create
        with create(
            model="any", messages=[], stream=True, extra_headers=asked, timeout=case.wait_s
        ) as stream:
            return [chunk.to_json() for chunk in stream]

    def plain(self, case: Case) -> list[str]:
        """A plain answer."""
        asked = {"x-harness-fault": case.fault, "x-harness-exchange": PLAIN}
        create = self.client.chat.completions.create
        return [create(model="any", messages=[], extra_headers=asked, timeout=case.wait_s).to_json()]

    def curl(self, case: Case) -> str:
        """How curl ends on the stream, what it got, and how late."""
        asked = {"x-harness-fault": case.fault, "x-harness-exchange": STREAM}
        headers = [part for name, value in asked.items() for part in ("--header", f"{name}: {value}")]
        command = [shutil.which("curl") or "curl", *CURL_OPTIONS, *headers, "--max-time", str(case.wait_s)]
        command.append(f"{self.url}/v1/chat/completions")
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if done.returncode:
            return f"{done.returncode}, {CURL.get(done.returncode, 'unknown')}"
        took, _, content_type = done.stderr.decode().partition(" ")
        return self.said(case, "curl", [f"{content_type}{done.stdout!r}"], float(took))


def name_of(error: Exception) -> str:
    """The class of an error with the package that it is from."""
    package = type(error).__module__.partition(".")[0]
    name = type(error).__qualname__
    return name if package == "builtins" else f"{package}.{name}"


def table(url: str) -> str:
    """The table in Markdown."""
    head = ("fault", "openai, stream", "openai, plain", "curl, stream")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as sdk:
        rows = (head, ("---",) * len(head), *map(Clients(url, sdk).row, CASES))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def server() -> Child:
    """A replay server on the recording."""
    return Child(harness_command("replay", str(RECORDING), "--port", "0", "--speed", "0", "--json"))


if __name__ == "__main__":
    with server() as started:
        seen = table(started.url)
    page = PAGE.read_text("utf-8")
    PAGE.write_text(BLOCK.sub(lambda found: f"{found[1]}{seen}\n{found[2]}", page), "utf-8")
