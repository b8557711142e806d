"""The recipes of docs/record.md for LangChain and LiteLLM, in an environment of their own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.exchange import State
from harness.demo.model_server import ModelServer
from harness.store.open import open_recording
from tests.plugins.recipes import run_recipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PACKAGES = ("langchain-openai==1.1.7", "litellm==1.108.7")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> Path:
    """The folder with the Python that has them."""
    uv, home = require_tool("uv", ".tools/bin/uv"), tmp_path_factory.mktemp("frameworks")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home / "env")], check=True)
    python = str(home / "env/bin/python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    return home / "env/bin"


@pytest.mark.parametrize("name", ["langchain", "litellm"])
def test_it_is_recorded_and_replayed(
    name: str, programs: Path, model_server: ModelServer, tmp_path: Path
) -> None:
    done = run_recipe(name, model_server.url, tmp_path, [programs])
    assert "1 answered, 0 missed" in done.stdout + done.stderr
    with open_recording(tmp_path / "hello.db") as recording:
        (exchange,) = recording.exchanges()
    text = derive(exchange).text
    assert (exchange.state, text != "") == (State.COMPLETE, True)
    assert done.stdout.count(text.strip()) == 2
