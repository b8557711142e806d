"""Cards in a few words, and a log that cannot be kept."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from harness.load.clock import RunClock
from harness.load.gpu.beside import Beside, glance
from harness.load.gpu.board import State
from harness.load.gpu.figures import Window
from harness.load.gpu.records import Card, Value
from harness.load.gpu.source import Asked
from tests.plugins.cards import GPU_A

type Environment = Callable[..., dict[str, str]]


def state(number: int, lost_ns: int | None = None, parent: str | None = None, **values: Value) -> State:
    """A card with these values."""
    card = Card(gpu=f"GPU-{number}", host="node", index=number, name="Card", parent=parent)
    return State(card, values=dict(values), lost_ns=lost_ns)


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], None),
        ([state(0)], "GPU"),
        ([state(0, power_mw=400_400, power_instant_mw=412_300)], "GPU 412 W"),
        (
            [
                state(0, power_mw=400_000, utilisation_percent=90),
                state(1, power_mw=100_000, utilisation_percent=50),
                state(0, parent="GPU-0", memory_used_bytes=5),
            ],
            "2 GPUs 500 W busy 70%",
        ),
        ([state(0, power_mw=400_000), state(1, lost_ns=7, power_mw=1)], "2 GPUs 400 W 1 lost"),
    ],
    ids=["none", "nothing known", "the moment's power", "together", "lost"],
)
def test_a_glance(states: list[State], said: str | None) -> None:
    assert glance(states) == said


def test_without_a_log_there_is_nothing_to_see_or_keep(tmp_path: Path) -> None:
    with Beside(Asked(), tmp_path) as gpus:
        assert gpus.now() is None
    gpus.keep(tmp_path / "a.db", 1, RunClock.now())
    assert gpus.figures(RunClock.now(), Window(0, 1), 5) is None
    assert not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_kept_or_read_is_one_line(
    cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in cards(NVML_CARDS="1").items():
        monkeypatch.setenv(name, value)
    clock = RunClock.now()
    with Beside(Asked("nvml", 10), tmp_path) as gpus:
        Event().wait(0.5)
    window = Window(0, clock.elapsed_ns())
    found = gpus.figures(clock, window, 5)
    assert found is not None
    assert [card.card.gpu for card in found.cards] == [GPU_A]
    (tmp_path / "a.db").write_text("no recording")
    gpus.keep(tmp_path / "a.db", 1, clock)
    (tmp_path / "gpu.jsonl").write_text("no log\n")
    assert gpus.figures(clock, window, 5) is None
    kept, read = capsys.readouterr().err.splitlines()
    assert kept.startswith("harness load: the GPU log is not kept: ")
    assert read.startswith("harness load: the GPU log cannot be read: ")
