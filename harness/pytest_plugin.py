"""The pytest plugin: recorded LLM traffic as the API of a test (docs/pytest.md).

The law of this file: it is loaded by every pytest of an environment, so it imports nothing of harness
before a test asks for it. What it then does is in `harness.testing`.
"""

import sys
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.testing.served import Replay

MODES = ("none", "once", "new_episodes", "all")
MARKERS = {
    "harness(*recordings, **arguments)": "serve the recording of this test as the API (docs/pytest.md)",
    "harness_block_network(allowed_hosts=[])": "refuse sockets to anything but this machine",
}
ONE = "_harness"
DESELECTED = pytest.StashKey[list[pytest.Item]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options and settings of the plugin."""
    group = parser.getgroup("harness", "recorded LLM traffic")
    group.addoption(
        "--harness-record-mode", choices=MODES, help="When to record (never where CI is set); default: none."
    )
    group.addoption(
        "--harness-block-network", action="store_true", help="Refuse sockets to anything but this machine."
    )
    group.addoption(
        "--harness-strict", action="store_true", help="Fail where recordings or exchanges are unused."
    )
    group.addoption(
        "--harness-max-age", type=days, metavar="DAYS", help="Fail where a recording that is used is older."
    )
    parser.addini("harness_recording_dir", "Folder of all recordings; default: beside each test file.")
    parser.addini("harness_upstreams", "APIs to record, a line of NAME=URL each.", type="linelist")
    parser.addini("harness_allowed_hosts", "Patterns of hosts that are never refused.", type="linelist")


def days(text: str) -> float:
    """A number of days (ValueError: it is none, or more than a century)."""
    number = float(text)
    if not 0 <= number <= 36_500:
        raise ValueError(text)
    return number


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")


# ---- fixtures ----


@pytest.fixture(scope="session")
def harness_config() -> Mapping[str, Any]:
    """Arguments of the marker for all tests in reach; override it, at any scope."""
    return {}


@pytest.fixture
def harness_recording_dir(request: pytest.FixtureRequest) -> Path:
    """The folder of the recordings of a test's module; override it, at any scope."""
    return folder_of(request.node)


@pytest.fixture
def harness_recording(request: pytest.FixtureRequest, harness_recording_dir: Path) -> Iterable[Path]:
    """The recordings of a test: those of its marker, or the one of its name; override it, at any scope."""
    return marked_recordings(request.node) or (named_recording(request.node, harness_recording_dir),)


@pytest.fixture
def harness_replay(
    request: pytest.FixtureRequest, harness_recording: Any, harness_config: Mapping[str, Any]
) -> "Iterator[Replay]":
    """The recording of a test, served on a free port, with OPENAI_BASE_URL and the like set to it."""
    from harness.testing.fixture import replay_for, told  # noqa: PLC0415

    one = isinstance(harness_recording, str | Path)
    recordings = [harness_recording] if one else list(harness_recording)
    with told(), replay_for(request, [Path(path) for path in recordings], harness_config) as replay:
        yield replay


@pytest.fixture
def harness_no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """No sockets to anything but this machine and allowed hosts."""
    from harness.testing.fixture import told, without_network  # noqa: PLC0415

    with told(), without_network(request):
        yield


@pytest.fixture
def _harness(request: pytest.FixtureRequest) -> None:
    """What markers and options ask for, without a fixture in the test's arguments."""
    if wants_block(request.node):
        request.getfixturevalue("harness_no_network")
    if request.node.get_closest_marker("harness"):
        request.getfixturevalue("harness_replay")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give `_harness` to the tests that want it: an autouse fixture would cost all others 0.1 ms each."""
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None or ONE in names or not (item.get_closest_marker("harness") or wants_block(item)):
            continue
        names.insert(first_of_function(item, names), ONE)


def wants_block(item: Any) -> bool:
    """Whether a test is to be without a network."""
    return bool(
        item.config.getoption("harness_block_network") or item.get_closest_marker("harness_block_network")
    )


def first_of_function(item: Any, names: list[str]) -> int:
    """Where fixtures of a test's own scope begin: those of wider scopes come first, and are no part of it."""
    known = item._fixtureinfo.name2fixturedefs if hasattr(item, "_fixtureinfo") else {}
    scopes = [known[name][-1].scope if name in known else "function" for name in names]
    return scopes.index("function") if "function" in scopes else len(scopes)


# ---- a test's report ----


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test that passed fails where a request missed, even if the SDK or the test swallowed the error."""
    result = yield
    if used():
        from harness.testing.fixture import fail_for_misses  # noqa: PLC0415

        fail_for_misses(item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test passed; a failing one shows its misses."""
    report = yield
    if used():
        from harness.testing.fixture import PASSED, sections  # noqa: PLC0415

        if call.when == "call":
            item.stash[PASSED] = report.passed
        if call.when == "call" or report.failed:
            report.sections += sections(item)
    return report


def used() -> bool:
    """Whether any test of this process asked for a recording, or to be without a network."""
    return "harness.testing.fixture" in sys.modules


# ---- the end of a session ----


def pytest_deselected(items: Iterable[pytest.Item]) -> None:
    """Keep what does not run: it has recordings as well."""
    for item in items:
        item.config.stash.setdefault(DESELECTED, []).append(item)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge the recordings, or let the main process do that for a worker of pytest-xdist."""
    if not used():
        return
    from harness.testing.fixture import LEDGER, claim, findings  # noqa: PLC0415

    config = session.config
    claim(config, *claims(session))
    if hasattr(config, "workeroutput"):
        if ledger := config.stash.get(LEDGER, None):
            config.workeroutput["harness"] = ledger.model_dump_json()
    elif findings(config)[1] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist is done: take in what it knows."""
    if said := getattr(node, "workeroutput", {}).get("harness"):
        from harness.testing.fixture import join  # noqa: PLC0415

        join(node.config, said)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what is unused and what is too old."""
    if not used():
        return
    from harness.testing.fixture import findings  # noqa: PLC0415

    lines, fails = findings(config)
    if lines:
        terminalreporter.section("harness: recordings", red=fails, yellow=not fails)
        for line in lines:
            terminalreporter.line(line)


# ---- where recordings lie ----


def folder_of(item: Any) -> Path:
    """The folder of the recordings of an item's module."""
    from harness.testing.places import root_of  # noqa: PLC0415

    path: Path = item.path
    return root_of(path, item.config.rootpath, item.config.getini("harness_recording_dir")) / path.stem


def named_recording(item: Any, folder: Path) -> Path:
    """The recording of an item's name."""
    from harness.testing.places import file_name, recording_in  # noqa: PLC0415

    named = (node.name for node in item.listchain() if isinstance(node, pytest.Class | pytest.Item))
    return recording_in(folder, file_name(".".join(named)))


def marked_recordings(item: Any) -> tuple[Path, ...]:
    """The recordings that an item's closest marker with some names, from the folder of its file."""
    marks = (mark.args for mark in item.iter_markers("harness") if mark.args)
    return tuple(item.path.parent / str(one) for one in next(marks, ()))


def claims(session: pytest.Session) -> tuple[Mapping[str, set[str]], set[Path]]:
    """The recordings of all collected tests that use harness, with the tests; the folders to look through.

    Folders are only looked through where no such test is left out.
    """
    from harness.testing.places import orphans  # noqa: PLC0415

    found: dict[str, set[str]] = defaultdict(set)
    folders: set[Path] = set()
    collected = getattr(session, "items", ())  # the main process of pytest-xdist collects nothing
    left_out = [item for item in session.config.stash.get(DESELECTED, []) if uses_recording(item)]
    for item in [*filter(uses_recording, collected), *left_out]:
        folders.add(folder_of(item))
        for path in marked_recordings(item) or [named_recording(item, folder_of(item))]:
            found[str(path.absolute())].add(item.nodeid)
    if left_out:
        return found, set()
    return found, folders if session.config.getini("harness_recording_dir") else folders | orphans(folders)


def uses_recording(item: pytest.Item) -> bool:
    """Whether a test has a recording."""
    return bool(item.get_closest_marker("harness")) or "harness_replay" in getattr(item, "fixturenames", ())
