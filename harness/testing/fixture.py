"""What the pytest plugin does for one test, and at the end of a session; imported when one is asked for."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.core.miss import miss_line, miss_text
from harness.core.record_mode import Act, Asked, RecordMode, act_of, is_ci
from harness.core.variables import KEYS, PLACEHOLDER, without_proxy
from harness.core.visible import counted
from harness.testing.ledger import Ledger, limit_of, lying_in
from harness.testing.network import Border, blocked
from harness.testing.places import SUFFIXES
from harness.testing.plan import Plan, plan_of
from harness.testing.project import rules_in_project
from harness.testing.served import Replay, serving

REPLAY = pytest.StashKey[Replay]()
BORDER = pytest.StashKey[Border]()
PASSED = pytest.StashKey[bool]()
LEDGER = pytest.StashKey[Ledger]()
RULES = pytest.StashKey[dict[str, Any]]()
RECORDED = pytest.StashKey[set[Path]]()
"""The recordings that this session made: more tests may add to them."""

MARKER = "harness"
BLOCK = "harness_block_network"


@contextmanager
def told() -> Iterator[None]:
    """What is wrong with a recording or an argument fails the test in one line."""
    try:
        yield
    except HarnessError as error:
        raise pytest.fail.Exception(f"harness: {error}", pytrace=False) from None


def plan_for(request: pytest.FixtureRequest, config: Mapping[str, Any]) -> Plan:
    """The plan of a test: the project, its fixture, its markers from the outermost in, the command line."""
    said = rules_for(request.config)
    said |= {"upstreams": upstreams_in(request.config)} if upstreams_in(request.config) else {}
    said |= config
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        said |= mark.kwargs
    mode = request.config.getoption("harness_record_mode")
    return plan_of(said | ({"record_mode": mode} if mode else {}))


def rules_for(config: pytest.Config) -> dict[str, Any]:
    """The rules of the project for all tests; read once. BadInput: one is none."""
    if RULES not in config.stash:
        config.stash[RULES] = rules_in_project(config.rootpath)
    return config.stash[RULES].copy()


def upstreams_in(config: pytest.Config) -> dict[str, str]:
    """The ini setting `harness_upstreams`: lines of NAME=URL."""
    pairs = (line.partition("=") for line in config.getini("harness_upstreams"))
    return {name.strip(): url.strip() for name, _, url in pairs}


@contextmanager
def replay_for(
    request: pytest.FixtureRequest, recordings: Sequence[Path], config: Mapping[str, Any]
) -> Iterator[Replay]:
    """Serve (or make) the recordings of a test, with the environment set; at its end, what is to be said."""
    files = tuple(path.absolute() for path in recordings)
    plan = plan_for(request, config)
    made = request.config.stash.setdefault(RECORDED, set())
    act = act_for(plan.record_mode, files, made)
    with serving(act, files, plan) as replay, pytest.MonkeyPatch.context() as patch:
        set_variables(patch, replay)
        request.node.stash[REPLAY] = replay
        yield replay
        note(request.node, replay)
    if act is Act.RENEW:
        made.update(files)


def act_for(mode: RecordMode, files: Sequence[Path], made: set[Path]) -> Act:
    """What is done for a test. What this session recorded, it goes on recording."""
    missing = next((path for path in files if not path.exists()), None)
    asked = Asked(mode, "--harness-record-mode", is_ci(os.environ))
    act = act_of(asked, str(missing or files[0]), exists=missing is None)
    recording_on = mode in (RecordMode.ONCE, RecordMode.ALL) and set(files) <= made and missing is None
    return Act.ADD if recording_on and not asked.ci else act


def set_variables(patch: pytest.MonkeyPatch, replay: Replay) -> None:
    """Lead the SDKs to the server; where nobody reads keys, they get one if they have none."""
    for name, value in {**replay.variables, **without_proxy(os.environ)}.items():
        patch.setenv(name, value)
    for name in KEYS if not replay.records else ():
        if not os.environ.get(name):
            patch.setenv(name, PLACEHOLDER)


def note(item: pytest.Item, replay: Replay) -> None:
    """Note what a test used, and fail it for what missed after its call."""
    ledger = item.config.stash.setdefault(LEDGER, Ledger())
    limit_ns = limit_of(datetime.now(UTC), item.config.getoption("harness_max_age"))
    passed = item.stash.get(PASSED, False)
    ledger.add(item.nodeid, replay, passed=passed, limit_ns=limit_ns)
    if passed:
        fail_for_misses(item)


def fail_for_misses(item: pytest.Item) -> None:
    """Fail a test whose requests missed, whatever became of the 404 that they got."""
    replay = item.stash.get(REPLAY, None)
    if replay is None or not replay.misses or replay.plan.allow_misses:
        return
    what = counted(len(replay.misses), "request")
    first = miss_line(replay.misses[0])
    pytest.fail(f"harness: {what} missed the recording, the first: {first}", pytrace=False)


def sections(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """What a report says of a test besides: its misses, and hosts that it was refused."""
    replay, border = item.stash.get(REPLAY, None), item.stash.get(BORDER, None)
    if replay and replay.misses:
        start = item.config.rootpath
        where = ", ".join(os.path.relpath(path, start) for path in replay.recordings)
        texts = dict.fromkeys(map(miss_text, replay.misses))
        yield f"harness: {counted(len(replay.misses), 'missed request')} of {where}", "\n".join(texts)
    if border and border.refused:
        yield "harness: network refused", "\n".join(dict.fromkeys(border.refused))


@contextmanager
def without_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold the sockets of this process for a test."""
    allowed = list(request.config.getini("harness_allowed_hosts"))
    for mark in request.node.iter_markers(BLOCK):
        hosts = mark.kwargs.get("allowed_hosts", ())
        allowed += [hosts] if isinstance(hosts, str) else hosts
    with blocked(allowed) as border:
        request.node.stash[BORDER] = border
        yield


def claim(config: pytest.Config, claims: Mapping[str, set[str]], folders: set[Path]) -> None:
    """Note which recordings the collected tests have, and what lies beside those."""
    ledger = config.stash.get(LEDGER, None)
    if ledger is not None:
        ledger.join(Ledger(claims=dict(claims), lying=lying_in(folders, SUFFIXES)))


def findings(config: pytest.Config) -> tuple[list[str], bool]:
    """What is to be said of the recordings at the end of a session, and whether that fails it."""
    ledger = config.stash.get(LEDGER, None)
    if ledger is None:
        return [], False
    days = config.getoption("harness_max_age")
    named = config.getoption("file_or_dir") or ()  # a worker's `args` has the options as well
    some = any("::" in one for one in named)  # single tests say nothing of what others use
    unused = [] if some else list(ledger.unused())
    stale = list(ledger.stale(days)) if days is not None else []
    lines = [f"{os.path.relpath(path, config.rootpath)}: {what}" for path, what in [*unused, *stale]]
    return lines, bool(stale) or (bool(unused) and config.getoption("harness_strict"))


def join(config: pytest.Config, said: str) -> None:
    """Take in the ledger of a worker."""
    config.stash.setdefault(LEDGER, Ledger()).join(Ledger.model_validate_json(said))
