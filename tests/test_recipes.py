"""The recipes of docs/record.md do what the page says; those that need more packages are in tests/slow."""

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.exchange import State
from harness.demo.model_server import ModelServer
from harness.store.open import open_recording
from tests.plugins.recipes import KEY, blocks, commands, parsed, run_recipe

HEAVY = {"langchain", "litellm"}
NODE = "openai@6.49.0"


def test_the_page_has_the_recipes_that_are_tested() -> None:
    assert set(blocks("recipe")) == {"python", "node", "curl"} | HEAVY
    assert len(commands()) >= 17


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_of_the_page_is_one(line: str) -> None:
    parsed(shlex.split(line)[1:])


def checked_text(path: Path) -> str:
    """What was said: the recording holds a whole stream of an answer, without the key."""
    with open_recording(path) as recording:
        (exchange,) = recording.exchanges()
    assert exchange.state is State.COMPLETE
    assert exchange.request.path == "/v1/chat/completions"
    assert exchange.response is not None
    assert len(exchange.response.chunks) > 2
    assert KEY.encode() not in path.read_bytes()
    return derive(exchange).text


def test_python(model_server: ModelServer, tmp_path: Path) -> None:
    done = run_recipe("python", model_server.url, tmp_path)
    assert done.stdout.count("1 passed") == 2
    assert "1 answered, 0 missed" in done.stderr + done.stdout
    assert checked_text(tmp_path / "hello.db")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(model_server: ModelServer, tmp_path: Path) -> None:
    done = run_recipe("curl", model_server.url, tmp_path)
    assert done.stdout.count("data: [DONE]") == 2
    assert '-H "Authorization: Bearer $OPENAI_API_KEY"' in done.stdout
    assert KEY not in done.stdout + done.stderr
    assert checked_text(tmp_path / "hello.db")


def test_node(model_server: ModelServer, tmp_path: Path, npm: Callable[..., Path]) -> None:
    (tmp_path / "node_modules").symlink_to(npm(NODE) / "node_modules")
    done = run_recipe("node", model_server.url, tmp_path)
    assert "1 answered, 0 missed" in done.stderr + done.stdout
    assert done.stdout.count(checked_text(tmp_path / "hello.db")) == 2
