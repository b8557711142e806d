"""A GPU log beside a recorder: kept with the capture, on its clock."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli.app import main
from harness.report.model import Lane
from harness.report.read import read_exchanges

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

type Environment = Callable[..., dict[str, str]]
type Start = Callable[..., "Recorder"]
type WaitUntil = Callable[[Callable[[], object], str], None]

PATH = "/v1/chat/completions"
LOGGED = ("--gpu", "nvml", "--gpu-rate", "10", "--gpus", "1")
ENDS = """
SELECT g.capture_id, g.run_id, g.name, min(s.at_ns) / 1e9, max(s.at_ns) / 1e9, avg(s.power_mw),
    (julianday(c.ended_at) - julianday(c.started_at)) * 86400
FROM gpu_samples s JOIN gpus g ON g.id = s.gpu_id JOIN captures c ON c.id = g.capture_id
GROUP BY g.id ORDER BY g.id
"""


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a statement finds."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(statement).fetchall()


def busy(lane: Lane) -> list[float]:
    """When something was under way."""
    return [at_s for at_s, value in zip(lane.at_s, lane.series[0].values, strict=True) if value]


def recorded(recorder: "Recorder", upstream: "Upstream", wait_until: WaitUntil) -> "Recorder":
    """A recorder that has recorded an exchange."""
    upstream.on(PATH, upstream.head(200, "Content-Length: 2"), b"{}")
    with recorder.client() as client:
        client.send("POST", PATH, b"{}")
        client.read_until(b"{}")
    wait_until(recorder.exchanges, "nothing is stored")
    return recorder


def test_samples_are_kept_with_their_capture(
    start_recorder: Start, upstream: "Upstream", cards: Environment, wait_until: WaitUntil, tmp_path: Path
) -> None:
    db = tmp_path / "one.db"
    for _ in range(2):
        options = ("--upstream", upstream.url, "--db", str(db), *LOGGED)
        recorder = start_recorder(*options, env=cards()).listen()
        recorder.db = db
        recorded(recorder, upstream, wait_until)
        assert recorder.stop() == 0
        assert "samples of GPUs" in recorder.errors()
        assert "recorded 1 exchange in" in recorder.errors()
    found = rows(db, ENDS)
    assert [row[:3] for row in found] == [(1, None, "Test Card B"), (2, None, "Test Card B")]
    for *_, first_s, last_s, power_mw, length_s in found:
        assert -60 < first_s < last_s  # the log begins before the capture does
        assert last_s < length_s + 60
        assert power_mw == pytest.approx(200_000)
    assert [path.name for path in db.parent.iterdir()] == ["one.db"]
    captures = read_exchanges(db).captures
    assert [(one.id, one.exchanges) for one in captures] == [(1, 1), (2, 1)]
    for capture in captures:
        lanes = {lane.title: lane for lane in capture.lanes}
        power = lanes["GPU 1 Test Card B: power"]
        assert set(power.series[0].values) == {200.0}
        (busy_s, *_) = busy(lanes["Under way"])
        assert power.at_s[0] - 0.1 < busy_s < power.at_s[-1] + 0.1  # the axis is one


def test_without_a_driver_one_line_says_so_and_it_records(
    start_recorder: Start, upstream: "Upstream", cards: Environment, wait_until: WaitUntil
) -> None:
    recorder = start_recorder("--upstream", upstream.url, *LOGGED, env=cards(NVML_INIT="9")).listen()
    recorded(recorder, upstream, wait_until)
    assert recorder.stop() == 0
    said = [line for line in recorder.errors().splitlines() if "GPU" in line]
    assert said == ["no NVIDIA driver here (Driver Not Loaded): the run goes on without a GPU log"]
    assert rows(recorder.db, "SELECT count(*) FROM gpus") == [(0,)]
    assert len(recorder.exchanges()) == 1


def test_the_logs_end_is_none_of_the_programs(
    start_recorder: Start, upstream: "Upstream", cards: Environment
) -> None:
    recorder = start_recorder("--upstream", upstream.url, *LOGGED, "--", "sh", "-c", "exit 7", env=cards())
    assert recorder.wait() == 7
    assert rows(recorder.db, "SELECT count(*) FROM gpus WHERE capture_id = 1") == [(1,)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu", "dcgm"), "there is no GPU source 'dcgm': 'nvml', a URL, or 'off'"),
        (("--gpu", "nvml", "--gpu-rate", "0.5"), "0.5 samples a second is out of bounds"),
        (("--gpus", "0"), "--gpus needs --gpu"),
    ],
)
def test_what_is_asked_for_wrongly(
    options: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["record", "--upstream", "http://127.0.0.1:9", "--port", "0", *options]) == 2
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert said in told.err
    assert not list(tmp_path.iterdir())
