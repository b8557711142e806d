"""Try what users install: `make wheel-check`, from the root of the checkout.

Builds the wheel and installs it into empty environments outside the checkout. With `[all]`, every
command that `harness --help` names says its help and does its work; without extras, on 3.12 and 3.13,
recordings are looked at and replayed, and what needs an extra says in one line which. So they are with
the lowest versions that pyproject.toml allows.

A new command needs a line in `RUNS`. Schemas and Locust files that the wheel is to carry are proved
here by the run of the command that reads them.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "recordings" / "tiny-llama.db"
UV = os.environ.get("UV", "uv")

ASK = """
import os, urllib.request
with urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + "/models", timeout=30) as answer:
    assert b"tiny-llama" in answer.read()
"""
"""A program behind `--`: one request that the recording answers."""

PLUGIN = """
import pytest

@pytest.mark.harness({recording!r}, allow_unused=True)
def test_ask():
    exec(open("ask.py").read())
"""
"""A test with a recording, for the pytest plugin."""

REPLAY = "replay {recording} --port 0 -- "
PROBE = (
    "probe --gateway http://127.0.0.1:{port} --provider-port {port} --recording {recording} --concurrency 1"
)
"""The probe's own provider in place of a gateway: nothing is between them."""
FIRST_PORT = 18555
"""The provider's port in the first environment; each further one has the next."""
RUNS: Mapping[str, tuple[str, str]] = {
    "ls": ("ls {recording}", "openai.chat"),
    "show": ("show {recording} 2", "tiny-llama"),
    "stats": ("stats {recording}", "tiny-llama"),
    "report": ("report {recording} -o page.html", "page.html: "),
    "scan": ("scan {recording}", "0 secrets"),
    "export": ("export {recording} -o lines.jsonl", ""),
    "import": ("import lines.jsonl --db imported.db", ""),
    "redact": ("redact {recording} -o redacted.db", "0 exchanges changed"),
    "diff": ("diff {recording} imported.db", "no difference"),
    "merge": ("merge imported.db lines.jsonl -o merged.db", ""),
    "split": ("split merged.db --into parts", ""),
    "trim": ("trim merged.db 1-5", ""),
    "rm": ("rm merged.db 3", ""),
    "replay": (REPLAY + "python ask.py", "1 answered, 0 missed"),
    "run": ("run --db {recording} -- python ask.py", "1 answered, 0 missed"),
    "verify": ("verify {recording} --tolerance-ms 60000", "0 with other bytes"),
    "record": (REPLAY + "sh record.sh", "recorded 1 exchange"),
    "load": (REPLAY + "sh load.sh", "client: answers stamped 4 by the kernel"),
    "validate": ("validate {recording}", "verdict: failed"),
    "probe": (PROBE, "chunk delivery"),
    "gpu": ("gpu --duration 1", ""),
    "config": ("config", "HARNESS_REPLAY_SPEED"),
    "demo": ("demo --out made", "25 of 25 answers equal"),
}
"""Command -> a run of it, in this order, and what it must print. The recorder's upstream is a replay."""

RECORD = 'harness record --upstream "${OPENAI_BASE_URL%/v1}" --db recorded.db -- python ask.py\n'
LOAD = (
    'harness load --target "$OPENAI_BASE_URL" --from {recording} --api completions --concurrency 2 '
    "--request-count 4 --no-null-test --db load.db\n"
)
EXTRAS = {
    "record": "record --upstream http://127.0.0.1:9",
    "proxy": "replay {recording} --mode proxy",
    "load": "load --target http://127.0.0.1:9",
    "demo": "demo",
}
"""Extra -> a command that needs it."""
CODES = {"verify": (0, 3), "probe": (0, 3), "demo": (0, 1), "validate": (1,), "load": (0, 3), "gpu": (0, 2)}
"""Exit codes of what also judges times, which a busy machine may spoil, of what finds the drift that the
recording is known to have, and of what needs a card; all others must be 0."""
NEVER_IN_BASE = ("mitmproxy", "locust", "gevent")


class Failed(Exception):
    """A check of the wheel failed; the message says which, and what was printed."""


@dataclass(frozen=True)
class Environment:
    """An environment with the wheel, and an empty folder to run in, both outside the checkout.

    `port` is its own: the environments are checked at once.
    """

    name: str
    folder: Path
    port: int

    @property
    def programs(self) -> Path:
        """Where its `python` and `harness` are."""
        return self.folder / "venv" / "bin"

    @property
    def work(self) -> Path:
        """The working directory of everything that runs."""
        return self.folder / "work"

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program of the environment; its exit code and all it printed."""
        variables = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
        result = subprocess.run(
            [self.programs / command[0], *command[1:]],
            cwd=self.work,
            env=variables | {"PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return result.returncode, result.stdout

    def expect(self, command: str, text: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run harness; what it printed. Raises `Failed` on another exit code, or where `text` is missing."""
        line = shlex.split(command.format(recording=RECORDING, port=self.port))
        code, said = self.run("harness", *line)
        if code not in codes or text not in said:
            wanted = f"exit code {' or '.join(map(str, codes))} and {text!r}"
            raise Failed(f"{self.name}: harness {command}: exit code {code}, not {wanted}\n{said}")
        print(f"ok  {self.name}: harness {command}", flush=True)
        return said


def uv(*arguments: str | Path) -> None:
    """Run uv in the checkout, quietly."""
    subprocess.run([UV, "--quiet", *arguments], cwd=ROOT, check=True)


@dataclass(frozen=True)
class Plan:
    """An environment to be made: of this Python, by these options of uv, for this check."""

    name: str
    python: str
    options: tuple[str | Path, ...]
    check: Callable[[Environment], None]


def install(plan: Plan, folder: Path, port: int) -> Environment:
    """The environment of a plan, empty but for the wheel."""
    made = Environment(plan.name, folder / plan.name.replace(" ", "-"), port)
    made.work.mkdir(parents=True)
    (made.work / "ask.py").write_text(ASK)
    (made.work / "record.sh").write_text(RECORD)
    (made.work / "load.sh").write_text(LOAD.format(recording=RECORDING))
    uv("venv", "--no-project", "--python", plan.python, made.folder / "venv")
    uv("pip", "install", "--python", made.programs / "python", *plan.options)
    return made


def commands_of(environment: Environment) -> list[str]:
    """The commands that `harness --help` names."""
    _, listed = environment.expect("--help", "Commands:").split("Commands:")
    return re.findall(r"^  (\w+)", listed, re.MULTILINE)


def check_all(environment: Environment) -> None:
    """Every command says its help and does its work."""
    commands = commands_of(environment)
    if unknown := set(commands) ^ set(RUNS):
        raise Failed(f"commands and the runs of this check are not the same: {', '.join(sorted(unknown))}")
    for command in commands:
        environment.expect(f"{command} --help", "Usage: harness")
    for command, (line, text) in RUNS.items():
        environment.expect(line, text, CODES.get(command, (0,)))


def check_base(environment: Environment) -> None:
    """Without extras: nothing heavy is there, recordings work, and a missing extra is named."""
    search = f"from importlib.util import find_spec; print([n for n in {NEVER_IN_BASE} if find_spec(n)])"
    code, found = environment.run("python", "-c", f"import harness; {search}")
    if (code, found) != (0, "[]\n"):
        raise Failed(f"{environment.name}: the base install holds {found}")
    for command, (line, text) in RUNS.items():
        if command not in EXTRAS:
            environment.expect(line, text, CODES.get(command, (0,)))
    check_plugin(environment)
    for extra, line in EXTRAS.items():
        said = environment.expect(line, f"traffic-harness[{extra}]", (2,))
        if said.count("\n") != 1:
            raise Failed(f"{environment.name}: a missing extra is to be one line, not\n{said}")


def check_plugin(environment: Environment) -> None:
    """With pytest beside it, a test gets its recording."""
    uv("pip", "install", "--python", environment.programs / "python", "pytest")
    (environment.work / "test_ask.py").write_text(PLUGIN.format(recording=str(RECORDING)))
    code, said = environment.run("python", "-m", "pytest", "--harness-strict", "test_ask.py")
    if code or "1 passed" not in said:
        raise Failed(f"{environment.name}: the pytest plugin: exit code {code}\n{said}")
    print(f"ok  {environment.name}: pytest", flush=True)


def find_python(version: str) -> str | None:
    """A Python of this version that runs: on the path, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    name = f"python{version}"
    for path in (shutil.which(name) or name, *map(str, pyenv.glob(f"versions/{version}.*/bin/{name}"))):
        with suppress(FileNotFoundError):
            if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
                return path
    return None


def build(folder: Path) -> tuple[str, Path]:
    """The wheel, and the versions of uv.lock as constraints."""
    uv("build", "--wheel", "--out-dir", folder / "dist")
    [wheel] = (folder / "dist").glob("*.whl")
    locked = folder / "versions.txt"
    parts = ("--all-extras", "--no-dev", "--no-emit-project", "--no-hashes")
    uv("export", "--locked", *parts, "-o", locked)
    return str(wheel), locked


def plans(wheel: str, locked: Path) -> Iterator[Plan]:
    """The environments to check; the one that takes longest first."""
    older = find_python("3.12")
    if older is None and os.environ.get("HARNESS_REQUIRE_TOOLS") == "1":
        raise Failed("there is no Python 3.12 here")
    lowest = ("--resolution", "lowest-direct")
    yield Plan("all", sys.executable, ("--constraints", locked, f"{wheel}[all]"), check_all)
    yield Plan("lowest versions", older or sys.executable, (*lowest, wheel), check_base)
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version, python in {"3.12": older, ours: sys.executable}.items():
        if python is None:
            print(f"skipped: base on {version}, which is not installed")
        else:
            yield Plan(f"base on {version}", python, ("--constraints", locked, wheel), check_base)


def check(plan: Plan, folder: Path, port: int) -> None:
    """Make the environment of a plan, and check it."""
    plan.check(install(plan, folder, port))


def main() -> int:
    """Build, install, check; 1 where a check failed."""
    with TemporaryDirectory(prefix="harness-wheel-") as name, ThreadPoolExecutor() as pool:
        folder = Path(name)
        checks = [
            pool.submit(check, plan, folder, FIRST_PORT + number)
            for number, plan in enumerate(plans(*build(folder)))
        ]
        for running in checks:
            running.result()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"wheel check: {failure}")
