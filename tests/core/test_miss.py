"""What is told of a miss."""

from harness.core.difference import differences
from harness.core.exchange import Request
from harness.core.miss import KEPT_DIFFERENCES, Miss, Near, Why, miss_line, miss_text, missed_request, summed

ASKED = Request("POST", "http://x/v1/chat/completions")
LONG = "word " * 50


def near(label: str, likeness: float, recorded: dict[str, object], requested: dict[str, object]) -> Near:
    return Near(label, likeness, tuple(differences(recorded, requested)))


MISS = Miss(
    Why.UNMATCHED,
    "no recorded exchange matches",
    ASKED,
    (
        near("3", 0.876, {"body/a": LONG + "left", "body/b": 1}, {"body/a": LONG + "right", "body/c": True}),
        near("7", 0.5, {f"body/{n}": n for n in range(7)}, {}),
    ),
)

TEXT = """\
POST /v1/chat/completions: no recorded exchange matches
  nearest is exchange 3, 87 % alike
    changed  body/a: recorded …word word word word left", requested …word word word word right"
    added    body/c: true
    removed  body/b: 1
  then exchange 7, 50 % alike
    removed  body/0: 0
    removed  body/1: 1
    removed  body/2: 2
    removed  body/3: 3
    removed  body/4: 4
    and 2 more"""


def test_the_text_ranks_the_nearest_with_what_changed() -> None:
    assert miss_text(MISS) == TEXT


def test_the_line_names_the_nearest_alone() -> None:
    line = miss_line(MISS)
    assert "\n" not in line
    assert line.startswith(
        "POST /v1/chat/completions: no recorded exchange matches; nearest is exchange 3: body/a:"
    )
    assert "exchange 7" not in line


def test_a_miss_without_anything_near_is_one_line() -> None:
    bare = Miss(Why.UNMATCHED, "nothing is recorded", ASKED)
    assert miss_text(bare) == miss_line(bare) == "POST /v1/chat/completions: nothing is recorded"


def test_machines_get_all_of_it_up_to_a_bound() -> None:
    many = near("1", 0.0, {f"body/{n}": n for n in range(500)}, {})
    [told] = missed_request(Miss(Why.UNMATCHED, "no", ASKED, (many,))).nearest
    assert (told.count, len(told.differences)) == (500, KEPT_DIFFERENCES)
    document = missed_request(MISS)
    assert (document.why, document.text) == ("unmatched", TEXT)
    assert [one.change for one in document.nearest[0].differences] == ["changed", "added", "removed"]


def test_nothing_in_the_text_moves_a_cursor() -> None:
    name = "body/\x1b[2J\n"
    wild = Miss(
        Why.UNNAMED,
        "no exchange is called \x1b[31m",
        Request("GET", "http://x/\x07"),
        (near("1", 0, {name: "\x1b"}, {}),),
    )
    assert all(line.isprintable() for line in miss_text(wild).splitlines())
    assert miss_line(wild).isprintable()


def test_equal_misses_are_summed_up() -> None:
    other = Miss(Why.UNMATCHED, "nothing is recorded", ASKED)
    assert summed([MISS, other, MISS]) == {TEXT: 2, miss_text(other): 1}
