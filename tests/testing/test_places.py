"""Where recordings of tests lie."""

from pathlib import Path

import pytest

from harness.testing.places import LONGEST, file_name, orphans, recording_in, root_of


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("test_a", "test_a"),
        ("TestChat.test_a[gpt-4o-0.5]", "TestChat.test_a[gpt-4o-0.5]"),
        ("test_a[a/b c:d*?]", "test_a[a-b-c-d-]"),
        ("test_ä", "test_ä"),
        ("test_a[..\\..]", "test_a[..-..]"),
    ],
)
def test_names_of_tests_are_names_of_files(name: str, file: str) -> None:
    assert file_name(name) == file


def test_long_names_are_shortened_and_stay_apart() -> None:
    one, other = file_name("t" * 300 + "1"), file_name("t" * 300 + "2")
    assert one != other
    assert len(one) == len(other) == LONGEST + 9


def test_a_configured_folder_has_a_folder_for_each_of_the_tests() -> None:
    project = Path("/p")
    assert root_of(project / "tests" / "test_a.py", project, "") == Path("/p/tests/recordings")
    assert root_of(project / "tests" / "test_a.py", project, "rec") == Path("/p/rec/tests")
    assert root_of(Path("/q/test_a.py"), project, "rec") == Path("/p/rec")


def test_lines_are_taken_where_there_is_no_database(tmp_path: Path) -> None:
    assert recording_in(tmp_path, "a") == tmp_path / "a.db"
    (tmp_path / "a.jsonl").touch()
    assert recording_in(tmp_path, "a") == tmp_path / "a.jsonl"
    (tmp_path / "a.db").touch()
    assert recording_in(tmp_path, "a") == tmp_path / "a.db"


def test_folders_of_modules_that_are_gone_are_found(tmp_path: Path) -> None:
    root = tmp_path / "recordings"
    for name in ("test_a", "test_gone"):
        (root / name).mkdir(parents=True)
    (tmp_path / "test_a.py").touch()
    assert orphans([root / "test_a"]) == {root / "test_gone"}
    assert orphans([tmp_path / "none" / "test_b"]) == set()
