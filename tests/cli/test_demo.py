import json
import subprocess
from pathlib import Path

from harness.child import harness_command
from harness.demo.conversations import CONVERSATIONS
from harness.store.open import open_recording


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(harness_command("demo", *options), capture_output=True, text=True, check=False)


def test_the_tour_records_lists_replays_compares_and_verifies(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    result = demo("--out", str(folder))
    calls = len(CONVERSATIONS)
    assert f"{calls} of {calls} answers equal" in result.stdout
    assert f"{calls} exchanges, 0 with other bytes" in result.stdout
    # How well the times are met is this machine's affair; what the exit code says of it is ours.
    assert result.returncode == ("verdict: not met" in result.stdout)
    with open_recording(folder / "tour.db") as recording:
        assert len(list(recording.exchanges())) == calls
    answers = [json.loads((folder / name).read_bytes()) for name in ("record.json", "replay.json")]
    assert answers[0] == answers[1]


def test_a_folder_of_another_tour_is_one_line_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tour.db").write_text("mine")
    result = demo("--out", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path / 'tour.db'} exists" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tour.db"]
    assert (tmp_path / "tour.db").read_text() == "mine"
