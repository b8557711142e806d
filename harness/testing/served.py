"""What a test's requests go to: a replay in this process, or a recorder beside it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from harness.child import Child, harness_command
from harness.core.errors import BadInput, MissingExtra, NotRecorded
from harness.core.miss import Miss
from harness.core.record_mode import Act
from harness.core.variables import base_urls, variables_of
from harness.replay.answers import Recorded
from harness.replay.embedded import Embedded
from harness.replay.match import Library
from harness.replay.recorders import recorders
from harness.replay.relay import Target
from harness.replay.rules_file import rules_beside
from harness.replay.server import load
from harness.replay.service import Settings
from harness.store.renewal import Renewal
from harness.testing.plan import Plan


@dataclass(eq=False)
class Replay:
    """What a test talks to.

    `urls` is upstream -> URL (without `/v1`), `url` the server's own, `variables` what the environment
    is given. `misses` grows with every request that matches nothing. `library` is what is replayed;
    None while everything is recorded.
    """

    recordings: tuple[Path, ...]
    plan: Plan
    url: str
    urls: Mapping[str, str]
    variables: Mapping[str, str]
    misses: list[Miss] = field(default_factory=list)
    library: Library[Recorded] | None = None

    @property
    def records(self) -> bool:
        """Whether all requests go to the real API, and are recorded."""
        return self.library is None


@contextmanager
def serving(act: Act, recordings: Sequence[Path], plan: Plan) -> Iterator[Replay]:
    """Serve or make recordings while this lasts.

    BadInput: a recording or an argument cannot be used. NotRecorded: something may be missing.
    """
    files = tuple(recordings)
    if act is not Act.REPLAY:
        check_recordable(files)
    with STAGES[act](files, plan) as replay:
        yield replay


def check_recordable(files: tuple[Path, ...]) -> None:
    """BadInput where there is not one file to record into; MissingExtra without a recorder."""
    if len(files) != 1 or files[0].suffix == ".jsonl":
        raise BadInput("what is recorded goes into one recording (.db): name that alone")
    if find_spec("mitmproxy") is None:
        raise MissingExtra(f"recording {files[0]}", "record")


@contextmanager
def replaying(
    files: tuple[Path, ...], plan: Plan, targets: Mapping[str, Target] | None = None
) -> Iterator[Replay]:
    """Serve recordings from a thread. All variables of SDKs lead here, so that none reaches a real API."""
    rules = plan.rules(rules_beside(files))
    library = load(files, keep_connect=plan.keep_connect, rules=rules, order=plan.order())
    library.upstreams |= dict.fromkeys(targets or ())
    settings = Settings(
        speed=plan.speed,
        faults=plan.fault_rules(),
        simulate=plan.on_miss == "simulate",
        recorders=targets or {},
    )
    misses: list[Miss] = []
    server = Embedded(library, settings, misses.append)
    url = server.start()
    try:
        urls = base_urls(tuple(library.upstreams), url)
        variables = variables_of({"default": url, "ollama": url, **urls})
        yield Replay(files, plan, url, urls, variables, misses, library)
    finally:
        server.stop()


@contextmanager
def extending(files: tuple[Path, ...], plan: Plan) -> Iterator[Replay]:
    """Serve a recording; what misses is asked of the real APIs, and recorded into it."""
    with recorders(plan.upstreams, files[0], plan.masks()) as targets, replaying(files, plan, targets) as one:
        yield one


@contextmanager
def adding(files: tuple[Path, ...], plan: Plan) -> Iterator[Replay]:
    """Record into a file that this session made."""
    with recording(files[0], files, plan) as replay:
        yield replay


@contextmanager
def renewing(files: tuple[Path, ...], plan: Plan) -> Iterator[Replay]:
    """Record into a new file, which takes its name (and an old one's place) where it is whole."""
    renewal = Renewal(files[0])
    with recording(renewal.new, files, plan) as replay:
        yield replay
    if kept := renewal.finish(lost=False):
        raise NotRecorded(kept)


@contextmanager
def recording(into: Path, files: tuple[Path, ...], plan: Plan) -> Iterator[Replay]:
    """Record what the real APIs answer, through a recorder of its own."""
    into.parent.mkdir(parents=True, exist_ok=True)
    upstreams = [word for name, url in plan.upstreams.items() for word in ("--upstream", f"{name}={url}")]
    words = (*upstreams, "--db", str(into), "--port", "0", "--quiet", *plan.masks())
    with Child(harness_command("record", *words), listeners=len(plan.upstreams)) as child:
        urls = dict(zip(plan.upstreams, child.urls, strict=True))
        yield Replay(files, plan, child.url, urls, variables_of(urls))
    if child.process.returncode:
        raise NotRecorded(f"{into}: the recorder ended with code {child.process.returncode}: see its stderr")


STAGES: Mapping[Act, Callable[[tuple[Path, ...], Plan], AbstractContextManager[Replay]]] = {
    Act.REPLAY: replaying,
    Act.EXTEND: extending,
    Act.RENEW: renewing,
    Act.ADD: adding,
}
