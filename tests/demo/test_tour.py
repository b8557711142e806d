import sys
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput, HarnessError
from harness.demo.tour import Tour, compare, run


@pytest.mark.parametrize(
    ("replayed", "where"),
    [
        ([{"text": "a"}, {"text": "b"}], []),
        ([{"text": "a"}, {"text": "c"}], ["/1/text"]),
        ([{"text": "a"}], ["/1/text"]),
        ([{"text": "a"}, {"text": "b", "more": None}], ["/1/more"]),
    ],
)
def test_answers_are_compared_leaf_by_leaf(replayed: Any, where: list[str]) -> None:
    compared = compare("chat", [{"text": "a"}, {"text": "b"}], replayed)
    assert [difference.where for difference in compared.differences] == where
    assert (compared.events, compared.fields) == (2, 2)


def test_a_folder_of_another_tour_is_refused(tmp_path: Path) -> None:
    tour = Tour(tmp_path / "new")
    tour.prepare()
    tour.recording.touch()
    with pytest.raises(BadInput, match="name another folder"):
        tour.prepare()


def test_a_step_is_heard_and_its_failure_is_an_error(tmp_path: Path) -> None:
    heard: list[str] = []
    recording = str(tmp_path / "none.db")
    with pytest.raises(HarnessError, match="harness ls ended with exit code 2"):
        run(["ls", recording], heard.append)
    assert recording in heard[0]


def test_every_step_runs_the_same_program(tmp_path: Path) -> None:
    tour = Tour(tmp_path)
    steps = tour.commands("http://127.0.0.1:1")
    programs = [command[command.index("--") + 1 :] for command in steps.values() if "--" in command]
    assert list(steps) == ["record", "ls", "replay", "verify"]
    assert [program[:-1] for program in programs] == [[sys.executable, "-m", "harness.demo.sdks"]] * 2
    assert {program[-1] for program in programs} == {str(tour.answers(step)) for step in ("record", "replay")}
