"""The pytest plugin, in the eyes of those who use it: their tests, run by a pytest within this one."""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import harness.testing.fixture  # noqa: F401  else every inner session imports it anew
from harness import pytest_plugin
from harness.core.exchange import Exchange, Request, Response
from harness.core.interchange import to_line
from harness.store.open import open_recording
from tests.plugins.wire import Upstream

OLD = "2020-01-02T03:04:05Z"

CONFTEST = """
import os, urllib.error, urllib.request
import pytest

@pytest.fixture
def ask():
    def ask(path, variable="OPENAI_BASE_URL"):
        try:
            with urllib.request.urlopen(os.environ[variable] + path, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code
    return ask
"""

type Run = Callable[..., pytest.RunResult]


def line(path: str, text: str = "hello", upstream: str = "") -> str:
    response = Response(200, (), 0, ((0, text.encode()),), 0)
    request = Request("GET", f"http://up{path}")
    return to_line(Exchange(request, response, started_at=OLD, upstream=upstream)) + "\n"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a pytest on the files of the test, with options."""
    for name in ("CI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # of which locust's alone takes a second
    pytester.makeconftest(CONFTEST)

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "harness.pytest_plugin", "-p", "no:cacheprovider", *options)

    return run


@pytest.fixture
def keep(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Writes the recording of a test of `test_it.py`."""

    def keep(name: str, *lines: str) -> Path:
        folder = pytester.path / "recordings" / "test_it"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.jsonl"
        path.write_text("".join(lines))
        return path

    return keep


def test_pytest_finds_the_plugin() -> None:
    (found,) = entry_points(group="pytest11", name="harness")
    assert found.value == pytest_plugin.__name__


def test_tests_get_their_own_recordings(
    pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]
) -> None:
    keep("test_marked", line("/v1/a", "marked"))
    keep("test_fixture", line("/v1/a", "fixture", upstream="gateway"))
    keep("TestGroup.test_case[a-b]", line("/v1/a", "case"))
    keep("shared", line("/v1/a", "first"), line("/v1/a", "then"))
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.mark.harness
        def test_marked(ask):
            assert ask("/a") == "marked"
            assert os.environ["OPENAI_API_KEY"]
            assert ask("/v1/a", "ANTHROPIC_BASE_URL") == "marked"
            assert os.environ["OLLAMA_HOST"] + "/v1" == os.environ["OPENAI_BASE_URL"]
            assert "127.0.0.1" in os.environ["NO_PROXY"]

        def test_fixture(ask, harness_replay):
            assert ask("/v1/a", "GATEWAY_BASE_URL") == "fixture"
            assert harness_replay.variables["GATEWAY_BASE_URL"] == harness_replay.url

        class TestGroup:
            @pytest.mark.parametrize("name", ["a/b"])
            @pytest.mark.harness
            def test_case(self, ask, name):
                assert ask("/a") == "case"

        @pytest.mark.harness("recordings/test_it/shared.jsonl")
        def test_named(ask):
            assert [ask("/a") for _ in range(3)] == ["first", "then", "then"]

        @pytest.mark.harness
        class TestOverridden:
            @pytest.fixture
            def harness_recording(self, harness_recording_dir):
                return harness_recording_dir / "shared.jsonl"

            def test_it(self, ask):
                assert [ask("/a") for _ in range(2)] == ["first", "then"]

        def test_afterwards():
            assert "OPENAI_BASE_URL" not in os.environ
            assert "OPENAI_API_KEY" not in os.environ
        """
    )
    result = run("--strict-markers", "--harness-strict", "-W", "error")
    result.assert_outcomes(passed=6)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*harness: recordings*")


def test_fixtures_of_a_test_come_after_and_wider_ones_before(
    pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]
) -> None:
    keep("test_order", line("/v1/a"))
    pytester.makepyfile(
        test_it="""
        import os
        import unittest
        import pytest
        known = pytest.mark.harness("recordings/test_it/test_order.jsonl", allow_unused=True)
        seen = []

        def look(name):
            seen.append((name, "OPENAI_BASE_URL" in os.environ))

        @pytest.fixture(scope="session")
        def wide(): look("wide")

        @pytest.fixture
        def client(): look("client")

        @pytest.fixture(autouse=True)
        def own(): look("own")

        @known
        def test_order(client, wide):
            assert seen == [("wide", False), ("own", True), ("client", True)]

        @pytest.mark.parametrize("served", [False, pytest.param(True, marks=known)])
        def test_parameter(served):
            assert ("OPENAI_BASE_URL" in os.environ) is served

        @known
        class TestOld(unittest.TestCase):
            def setUp(self):
                assert "OPENAI_BASE_URL" in os.environ

            def test_it(self):
                pass
        """
    )
    run("-W", "error").assert_outcomes(passed=4)


def test_misses_are_loud(pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]) -> None:
    path = keep("known", line("/v1/a"))
    pytester.makepyfile(
        test_it=f"""
        import pytest
        pytestmark = pytest.mark.harness({str(path)!r}, allow_unused=True)

        def test_swallowed(ask):
            ask("/other")

        def test_failing(ask):
            assert ask("/other") == "hello"

        @pytest.mark.harness(allow_misses=True)
        def test_allowed(ask):
            assert ask("/other") == 404

        @pytest.fixture
        def late(ask):
            yield
            ask("/late")

        def test_in_teardown(late):
            pass

        @pytest.mark.xfail(strict=True)
        def test_known_to_miss(ask):
            ask("/other")
        """
    )
    result = run()
    result.assert_outcomes(passed=2, failed=2, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_in_teardown*",
            "harness: 1 request missed the recording, the first: GET /v1/late: *",
            "*_ test_swallowed _*",
            "harness: 1 request missed the recording, the first: GET /v1/other: *",
            "*harness: 1 missed request of recordings/test_it/known.jsonl*",
            "GET /v1/other: no recorded exchange matches*",
            "  nearest is exchange 1, * alike",
            "    changed  path: recorded *v1/a*, requested *v1/other*",
            "*_ test_failing _*",
            "*harness: 1 missed request of recordings/test_it/known.jsonl*",
        ]
    )


def test_what_is_wrong_is_told_in_a_line(
    pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]
) -> None:
    keep("test_broken", "{}\n")
    keep("test_known", line("/v1/a"))
    pytester.makepyfile(
        test_it="""
        import pytest
        harness = pytest.mark.harness

        @harness
        def test_missing(): pass

        @harness
        def test_broken(): pass

        @harness(sped=1)
        def test_unknown_argument(): pass

        @harness(speed=-1)
        def test_wrong_argument(): pass

        @pytest.mark.harness_block_network(allowed_hosts=["*"])
        def test_wrong_host(): pass
        """
    )
    result = run("--tb=short")
    result.assert_outcomes(errors=5)
    result.stdout.fnmatch_lines(
        [
            "harness: *test_missing.db does not exist: *--harness-record-mode once records it",
            "harness: *test_broken.jsonl*",
            "harness: the marker has no argument 'sped'; there are record_mode, speed, *",
            "harness: the marker's speed: should be greater than or equal to 0",
            "harness: allowed host '[*]' is no regular expression: *",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_rules_order_and_faults_are_those_of_replay(
    pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]
) -> None:
    path = keep("known", line("/v1/a?user=1", "first"), line("/v1/a?user=1", "then"))
    path.with_name("beside.jsonl").write_text(path.read_text())
    path.with_name("beside.match.toml").write_text('ignore = ["query.user"]')
    pytester.makepyprojecttoml('[tool.harness.replay]\nignore = ["query.page"]\nspeed = 3')
    pytester.makepyfile(
        test_it="""
        import pytest
        pytestmark = pytest.mark.harness("recordings/test_it/known.jsonl", allow_misses=True)
        ask_for = pytest.mark.harness

        @pytest.fixture
        def harness_config():
            return {"allow_unused": True, "speed": 1}

        def test_exactly(ask): assert ask("/a?user=2") == 404

        @ask_for(ignore=["query.user"])
        def test_ignored(ask): assert ask("/a?user=2") == "first"

        def test_rules_of_the_project(ask): assert ask("/a?user=1&page=2") == "first"

        @ask_for("recordings/test_it/beside.jsonl")
        def test_rules_beside(ask): assert ask("/a?user=2") == "first"

        @ask_for(allow_playback_repeats=False)
        def test_each_once(ask): assert [ask("/a?user=1") for _ in range(3)] == ["first", "then", 404]

        @ask_for(repeat="cycle")
        def test_cycle(ask): assert [ask("/a?user=1") for _ in range(3)] == ["first", "then", "first"]

        @ask_for(faults=["kind=error,status=503"])
        def test_fault(ask): assert ask("/a?user=1") == 503

        @ask_for(on_miss="simulate")
        def test_simulated(ask, harness_replay):
            assert not harness_replay.misses

        @ask_for(match_on=["body", "colour"])
        def test_no_rule(ask): pass

        @ask_for(faults=["kind=fire"])
        def test_no_fault(ask): pass
        """
    )
    result = run("--harness-strict")
    result.assert_outcomes(passed=8, errors=2)
    result.stdout.fnmatch_lines(
        [
            "harness: the marker's match_on.1: 'colour' cannot be compared*",
            "harness: the marker's faults: rule 1: *",
        ]
    )


def test_recordings_are_made_as_the_mode_says(
    pytester: pytest.Pytester, run: Run, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/v1/a?tag=1", "/v1/b"):
        upstream.on(path, upstream.head(200, "Content-Length: 2"), b"ok")
    pytester.makeini(f"[pytest]\nharness_upstreams = openai={upstream.url}\nharness_recording_dir = kept\n")
    test = "import pytest\n@pytest.mark.harness(filter_query_parameters=['tag'])\ndef test_a(ask):\n"
    pytester.makepyfile(test_it=f"{test}    assert ask('/a') == 'ok'")
    monkeypatch.setenv("CI", "true")
    run("--harness-record-mode", "once").assert_outcomes(errors=1)
    monkeypatch.delenv("CI")
    made = pytester.path / "kept" / "test_it" / "test_a.db"
    for mode, asks, passed, asked in (
        ("once", ("/a?tag=1",), 1, 1),
        ("none", ("/a?tag=22",), 1, 1),
        ("new_episodes", ("/a?tag=333", "/b"), 1, 2),
        ("once", ("/b", "/c"), 0, 2),
        ("all", ("/b",), 1, 3),
    ):
        pytester.makepyfile(test_it=test + "".join(f"    assert ask({one!r}) == 'ok'\n" for one in asks))
        run("--harness-record-mode", mode).assert_outcomes(passed=passed, failed=1 - passed)
        assert len(upstream.requests) == asked
    with open_recording(made) as recording:
        assert [one.path for one in recording.listing()] == ["/v1/b"]
    assert list(made.parent.iterdir()) == [made]


UNUSED = """
import pytest

@pytest.mark.harness
def test_whole(ask): ask("/a")

@pytest.mark.harness
def test_part(ask): ask("/a")

@pytest.mark.harness
@pytest.mark.xfail(strict=True)
def test_fails(ask): assert not ask("/a")

@pytest.mark.harness("recordings/test_it/shared.jsonl")
def test_one(ask): ask("/a")

@pytest.mark.harness("recordings/test_it/shared.jsonl")
def test_other(ask): ask("/b")
"""


@pytest.fixture
def partly_used(pytester: pytest.Pytester, keep: Callable[..., Path]) -> None:
    pytester.makepyfile(test_it=UNUSED)
    keep("test_whole", line("/v1/a"))
    for name in ("test_part", "test_fails", "shared"):
        keep(name, line("/v1/a"), line("/v1/b"))
    keep("test_gone", line("/v1/a"))
    gone = pytester.path / "recordings" / "test_module_gone"
    gone.mkdir()
    (gone / "test_a.jsonl").write_text(line("/v1/a"))


WHOLE = [
    "*= harness: recordings =*",
    "recordings/test_it/test_gone.jsonl: no test uses it",
    "recordings/test_it/test_part.jsonl: 1 of 2 exchanges unused: 2 GET /v1/b",
    "recordings/test_module_gone/test_a.jsonl: no test uses it",
]


def sorted_summary(result: pytest.RunResult) -> list[str]:
    return sorted(text for text in result.outlines if text.startswith("recordings/"))


@pytest.mark.usefixtures("partly_used")
def test_what_is_unused_is_told_and_fails_when_asked(run: Run) -> None:
    result = run()
    assert result.ret == 0
    result.stdout.fnmatch_lines([WHOLE[0]])
    assert sorted_summary(result) == WHOLE[1:]
    assert run("--harness-strict").ret == 1
    some = run("--harness-strict", "test_it.py::test_one", "test_it.py::test_part")
    assert (some.ret, sorted_summary(some)) == (0, [])
    chosen = run("--harness-strict", "-k", "one or part")
    assert sorted_summary(chosen) == [WHOLE[2]]


@pytest.mark.usefixtures("partly_used")
def test_workers_of_xdist_join_what_they_know(run: Run) -> None:
    result = run("-p", "xdist", "-n", "2", "--harness-strict")
    result.assert_outcomes(passed=4, xfailed=1)
    assert result.ret == 1
    assert sorted_summary(result) == WHOLE[1:]


@pytest.mark.usefixtures("partly_used")
def test_old_recordings_fail_when_asked(run: Run) -> None:
    result = run("--harness-max-age", "30", "-k", "test_whole")
    result.assert_outcomes(passed=1, deselected=4)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*test_whole.jsonl: 1 of 1 exchange older than 30 days: 1 GET /v1/a, recorded on 2020-01-02"]
    )
    assert run("--harness-max-age", "36500", "-k", "test_whole").ret == 0
    assert run("--harness-max-age", "soon").ret == pytest.ExitCode.USAGE_ERROR


def test_the_network_is_blocked_when_asked(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makeini("[pytest]\nharness_allowed_hosts = 192\\.0\\.2\\.7\n")
    pytester.makepyfile(
        """
        import socket
        import pytest

        def refused(host):
            with socket.socket() as sock:
                sock.setblocking(False)
                try:
                    sock.connect((host, 9))
                except RuntimeError:
                    return True
                except OSError:
                    return False

        def test_refused(): assert refused("192.0.2.1")
        def test_allowed_by_setting(): assert not refused("192.0.2.7")
        def test_loopback(): assert not refused("127.0.0.1")

        @pytest.mark.harness_block_network(allowed_hosts=r"192\\.0\\.2\\.1")
        def test_allowed_by_marker(): assert not refused("192.0.2.1")

        def test_fails():
            refused("192.0.2.1")
            assert False
        """
    )
    result = run("--harness-block-network")
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(["*harness: network refused*", "192.0.2.1:9"])


CASSETTE = """
interactions:
- request: {method: GET, uri: "http://api.test/v1/a", body: null, headers: {}}
  response: {status: {code: 200, message: OK}, headers: {}, body: {string: from the cassette}}
version: 1
"""


def test_it_lives_beside_pytest_recording(
    pytester: pytest.Pytester, run: Run, keep: Callable[..., Path]
) -> None:
    keep("test_ours", line("/v1/a"))
    keep("test_both", line("/v1/a"))
    for name in ("test_theirs", "test_both"):
        cassette = pytester.path / "cassettes" / "test_it" / f"{name}.yaml"
        cassette.parent.mkdir(parents=True, exist_ok=True)
        cassette.write_text(CASSETTE)
    pytester.makepyfile(
        test_it="""
        import socket
        import urllib.request
        import pytest

        def get(url):
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.read().decode()

        @pytest.mark.vcr
        def test_theirs():
            assert get("http://api.test/v1/a") == "from the cassette"

        @pytest.mark.harness
        def test_ours(ask):
            assert ask("/a") == "hello"

        @pytest.mark.vcr(ignore_localhost=True)
        @pytest.mark.harness
        def test_both(ask):
            assert (get("http://api.test/v1/a"), ask("/a")) == ("from the cassette", "hello")

        @pytest.mark.block_network
        def test_their_block():
            with socket.socket() as sock, pytest.raises(RuntimeError, match="Network is disabled"):
                sock.connect(("192.0.2.1", 80))
        """
    )
    result = run(
        "-p", "pytest_recording.plugin", "--record-mode=none", "--harness-strict", "--strict-markers"
    )
    result.assert_outcomes(passed=4)
    assert result.ret == 0
