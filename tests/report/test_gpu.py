"""GPU lanes and figures of real joined runs: a real model server under load, the C-built NVML beside it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.child import harness_command
from harness.demo.model_server import ModelServer
from harness.report.markdown import markdown
from harness.report.model import Lane, RunReport
from harness.report.page import page
from harness.report.read import read_run
from harness.store.load_runs import load_run

type Environment = Callable[..., dict[str, str]]

WATTS = 100
"""What the first of these cards draws, whatever it is asked to do."""


@pytest.fixture(scope="module")
def path(model_server: ModelServer, cards: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two runs with a card."""
    path = tmp_path_factory.mktemp("gpu") / "sweep.db"
    sizes = ("--request-count", "12", "--output-tokens", "16", "--warmup-request-count", "0")
    options = ("--target", model_server.url, "--sweep", "concurrency=1,3", "--no-null-test", *sizes)
    log = ("--gpu", "nvml", "--gpu-rate", "10", "--db", str(path))
    command = harness_command("load", *options, *log, "--quiet")
    environment = cards(NVML_CARDS="1", NVML_XID="0:79@0.1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode in (0, 3), done.stderr
    return path


@pytest.fixture(scope="module")
def report(path: Path) -> RunReport:
    return read_run(path)


def busy(lane: Lane) -> list[float]:
    """When something was under way."""
    return [at_s for at_s, value in zip(lane.at_s, lane.series[0].values, strict=True) if value]


def test_lanes_of_the_card_share_the_axis_of_the_requests(report: RunReport) -> None:
    lanes = {lane.title.removeprefix("GPU 0 Test Card A: "): lane for lane in report.lanes}
    assert {"Under way", "Output tokens", "activity", "power", "memory", "clocks"} <= set(lanes)
    assert set(lanes["power"].series[0].values) == {float(WATTS)}
    assert report.window_s is not None
    start_s, end_s = report.window_s
    for title in ("power", "memory"):
        assert lanes[title].at_s[0] < start_s < end_s < lanes[title].at_s[-1] + 0.2
    assert start_s - 0.1 < busy(lanes["Under way"])[0] < busy(lanes["Under way"])[-1] < end_s + 0.1


def test_figures_of_the_card_are_those_that_the_run_stored(report: RunReport, path: Path) -> None:
    stored = load_run(path)["figures"]["gpu"]
    assert report.gpu is not None
    assert report.window_s is not None
    (card,) = report.gpu.cards
    window_s = report.window_s[1] - report.window_s[0]
    assert card.energy_j == stored["gpus"][0]["energy_joules"] == pytest.approx(WATTS * window_s, rel=0.1)
    assert card.energy_error_j == stored["gpus"][0]["energy_error_joules"]
    assert report.gpu.tokens_per_joule == stored["output_tokens_per_joule"]
    assert [mark.text.split(" · ")[1:3] for mark in report.gpu.events] == [["xid", "79"]]
    assert "nvlink_crc_flit_errors" in card.unsupported


def test_a_sweep_tells_tokens_a_joule_of_each_concurrency(report: RunReport) -> None:
    assert [step.level for step in report.sweep] == [1, 3]
    for step in report.sweep:
        assert step.energy_j is not None
        assert step.tokens_per_joule is not None
        assert step.tokens_per_s == pytest.approx(step.tokens_per_joule * WATTS, rel=0.1)
    assert 'data-index="joules"' in page(report)
    told = markdown(report)
    assert " tokens a joule · no failures" in told
    assert [line.split(" | ")[0] for line in told.splitlines()[-2:]] == ["| 1 at once", "| 3 at once"]
