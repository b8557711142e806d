"""Programs behind `--`: their environment, their exit codes, the signals they get."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from harness.cli.program import check, environment, run
from harness.core.errors import BadInput
from harness.core.variables import PLACEHOLDER, base_url_of, with_loopback

URL = "http://127.0.0.1:8080"
UP = "import signal, os; os.write(1, b'up'); "
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


def set_by(urls: Mapping[str, str], *, placeholder_keys: bool = False) -> dict[str, str]:
    """The variables that differ from our own environment, but for those of proxies."""
    made = environment(urls, placeholder_keys=placeholder_keys)
    return {
        name: value
        for name, value in made.items()
        if os.environ.get(name) != value and name.lower() != "no_proxy"
    }


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.endswith(("_BASE_URL", "_API_KEY")) or name.lower() == "no_proxy" or name == "OLLAMA_HOST":
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("urls", "variables"),
    [
        ({"openai": URL}, {"OPENAI_BASE_URL": f"{URL}/v1"}),
        ({"OpenAI": f"{URL}/"}, {"OPENAI_BASE_URL": f"{URL}/v1"}),
        ({"anthropic": URL}, {"ANTHROPIC_BASE_URL": URL}),
        ({"ollama": URL}, {"OLLAMA_HOST": URL}),
        ({"my-gateway": URL}, {"MY_GATEWAY_BASE_URL": URL}),
        ({"api.openai.com": URL}, {"OPENAI_BASE_URL": f"{URL}/v1"}),
        ({"api.groq.com": URL}, {"GROQ_BASE_URL": URL}),
        ({"127.0.0.1": URL}, {"OPENAI_BASE_URL": f"{URL}/v1", "ANTHROPIC_BASE_URL": URL}),
        (
            {"openai": "http://a", "::1": "http://b"},
            {"OPENAI_BASE_URL": "http://a/v1", "ANTHROPIC_BASE_URL": "http://b"},
        ),
        ({"default": URL}, {"OPENAI_BASE_URL": f"{URL}/v1", "ANTHROPIC_BASE_URL": URL}),
        (
            {"openai": "http://a", "anthropic": "http://b", "groq": "http://c"},
            {"OPENAI_BASE_URL": "http://a/v1", "ANTHROPIC_BASE_URL": "http://b", "GROQ_BASE_URL": "http://c"},
        ),
        (
            {"anthropic": "http://a", "default": "http://b"},
            {"ANTHROPIC_BASE_URL": "http://a", "OPENAI_BASE_URL": "http://b/v1"},
        ),
        ({}, {}),
    ],
)
def test_base_urls_of_the_upstreams_that_exist(urls: dict[str, str], variables: dict[str, str]) -> None:
    assert set_by(urls) == variables


def test_placeholder_keys_only_where_keys_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    assert set_by({}, placeholder_keys=True) == {"ANTHROPIC_API_KEY": PLACEHOLDER}
    assert set_by({}) == {}


@pytest.mark.parametrize(
    ("hosts", "extended"),
    [
        ("", "127.0.0.1,localhost,::1"),
        ("a.test, ::1", "a.test,::1,127.0.0.1,localhost"),
        ("127.0.0.1,localhost,::1", "127.0.0.1,localhost,::1"),
    ],
)
def test_loopback_needs_no_proxy(hosts: str, extended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_loopback(hosts) == extended
    monkeypatch.setenv("no_proxy", hosts)
    made = environment({}, placeholder_keys=False)
    assert made["no_proxy"] == extended
    assert made["NO_PROXY"] == "127.0.0.1,localhost,::1"


def test_base_url_of_a_name() -> None:
    assert base_url_of("x-1_y") == "X_1_Y_BASE_URL"


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(0)", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_exit_codes(loop: str, code: str, expected: int) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(run([sys.executable, "-c", code], os.environ)) == expected


def test_the_program_sees_its_environment() -> None:
    code = "import os; raise SystemExit(int(os.environ['HARNESS_TEST_CODE']))"
    assert asyncio.run(run([sys.executable, "-c", code], {**os.environ, "HARNESS_TEST_CODE": "5"})) == 5


@pytest.fixture
def no_signal_ignored() -> Iterator[None]:
    """As a program is that a shell started; under `nohup`, a SIGHUP would mean nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("no_signal_ignored")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("loop", LOOPS)
def test_signals_are_passed_on(loop: str, number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    """pytest's stdin is no terminal: Ctrl-C would reach us alone."""

    async def send_when_up() -> int:
        running = asyncio.ensure_future(run([sys.executable, "-c", f"{UP}signal.pause()"], os.environ))
        while "up" not in capfd.readouterr().out:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), number)
        return await running

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(send_when_up()) == 128 + number


@pytest.mark.parametrize("loop", LOOPS)
def test_a_signal_while_the_program_starts_reaches_it(loop: str) -> None:
    async def send_at_once() -> int:
        running = asyncio.ensure_future(
            run([sys.executable, "-c", "import signal; signal.pause()"], os.environ)
        )
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
        return await running

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(send_at_once()) == 128 + signal.SIGTERM


def test_a_cancelled_run_ends_its_program(capfd: pytest.CaptureFixture[str]) -> None:
    code = (
        f"{UP}signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b'ended'), os._exit(0))); signal.pause()"
    )

    async def cancel_when_up() -> None:
        running = asyncio.ensure_future(run([sys.executable, "-c", code], os.environ))
        while "up" not in capfd.readouterr().out:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancel_when_up())
    assert "ended" in capfd.readouterr().out


def test_what_is_no_program() -> None:
    with pytest.raises(BadInput, match="cannot run 'no-such-program-here'"):
        check(["no-such-program-here"])


@pytest.mark.parametrize(("name", "why"), [("", "it is a folder"), ("plain.txt", "it is not executable")])
def test_what_is_there_and_is_no_program(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").touch()
    with pytest.raises(BadInput, match=f"{name}': {why}; what stands behind"):
        check([str(tmp_path / name)])
    with pytest.raises(BadInput, match="cannot run"):
        asyncio.run(run(["no-such-program-here"], os.environ))
