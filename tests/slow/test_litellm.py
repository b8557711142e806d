"""LiteLLM's proxy under the probe: what it is known to rewrite is seen, and its streams are streams.

It lives in an environment of its own, made with uv: its many packages are none of ours.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.child import harness_command
from harness.probe.behaviours import Behaviour
from harness.probe.document import ProbeDocument
from harness.probe.judge import Verdict
from harness.record.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PACKAGE = "litellm[proxy]==1.108.7"
RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
CONFIGURATION = """
model_list:
  - model_name: "*"
    litellm_params:
      model: "openai/*"
      api_base: os.environ/OPENAI_BASE_URL
      api_key: placeholder
general_settings:
  forward_client_headers_to_llm_api: true
  dangerously_permit_weak_or_unset_master_key: true
"""
"""Any model, the probe's provider behind it, and `X-` headers passed on."""
B = Behaviour


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> Path:
    """LiteLLM's command."""
    uv, home = require_tool("uv", ".tools/bin/uv"), tmp_path_factory.mktemp("litellm")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home / "env")], check=True)
    python = str(home / "env/bin/python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, PACKAGE], check=True)
    return home / "env/bin/litellm"


def test_litellm_streams_and_rewrites(litellm: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIGURATION)
    [port] = free_ports("127.0.0.1", 0, 1)
    own = ("--gateway", f"http://127.0.0.1:{port}", "--recording", str(RECORDING), "--concurrency", "1")
    gateway = (str(litellm), "--config", str(tmp_path / "config.yaml"), "--host", "127.0.0.1")
    done = subprocess.run(
        [
            *harness_command("probe", *own, "--dialect", "openai.chat", "--wait", "120", "--json"),
            *("--", *gateway, "--port", str(port)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 3), done.stderr
    found = ProbeDocument.model_validate(json.loads(done.stdout))
    verdicts = {one.behaviour: one.verdict for one in found.behaviours}
    streams = {B.REQUEST_LINE, B.DELIVERY, B.SILENCE, B.CUT, B.CLOSED, B.LEFT, B.LEFT_SILENT, B.BROKE}
    assert {verdicts[one] for one in streams} == {Verdict.PASS}
    assert {verdicts[one] for one in (B.FIELDS, B.HEADERS, B.REQUEST_BODY, B.COMMENTS, B.UNKNOWN)} == {
        Verdict.FAIL
    }
    assert {
        ("/created", "changed"),
        ("/choices/0/finish_reason", "lost"),
        ("/stream_options/include_usage", "added"),
    } <= {(one.place, one.kind) for one in found.changes}
    limited = next(one.evidence for one in found.behaviours if one.behaviour is B.LIMITED)
    assert "the provider was asked 3 times" in limited
