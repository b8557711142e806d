"""The index: which requests are worth comparing, however many there are."""

import random

from harness.core.matching.index import COMPARED, Index

HERE, THERE = ("POST", "/a"), ("POST", "/b")
COMMON = (1, "POST")


def index(count: int) -> Index:
    """Requests that share one field; each has one of its own, and is as large as its number."""
    made = Index()
    for number in range(count):
        made.add(HERE, number, [COMMON, (1000 + number, number)])
    return made


def test_what_shares_a_rare_field_comes_first_whatever_its_size() -> None:
    found = index(5000).candidates(HERE, 0, [COMMON, (1000 + 4321, 4321)])
    assert next(iter(found.items())) == (4321, 1)
    assert len(found) == COMPARED


def test_the_others_are_those_nearest_in_size() -> None:
    found = index(5000).candidates(HERE, 2500, [COMMON, (7, "7")])
    assert len(found) == COMPARED
    assert all(abs(one - 2500) <= COMPARED // 2 for one in found)


def test_of_few_all_are_compared_at_the_same_endpoint_or_at_any() -> None:
    made = index(10)
    made.add(THERE, 3, [COMMON, (2, 2)])
    assert sorted(made.candidates(HERE, 3, [(2, 2)])) == list(range(10))
    assert list(made.candidates(THERE, 0, [(1005, 5)])) == [10]
    assert sorted(made.candidates(("GET", "/c"), 0, [(5, 5)])) == list(range(11))


def test_an_empty_index_has_none() -> None:
    assert Index().candidates(HERE, 0, [COMMON]) == {}


def test_a_field_that_a_request_has_twice_counts_once() -> None:
    made = Index()
    made.add(HERE, 0, [(5, 1), (5, 1), (5, 1)])
    made.add(HERE, 0, [(5, 1), (5, 1)])
    assert made.candidates(HERE, 0, [(5, 1)]) == {0: 1, 1: 1}


def test_texts_that_have_words_in_common_come_first() -> None:
    """Which pairs of words count is another in each run of Python, and seldom nearly none of a text does."""
    chance = random.Random(1)
    texts = [" ".join(chance.choices([f"w{n}" for n in range(300)], k=40)) for _ in range(2000)]
    made = Index()
    for number, text in enumerate(texts):
        made.add(HERE, 100, [COMMON, (2, "You are a helpful assistant."), (1000 + number, text)])
    asked = {
        n: [COMMON, (2, "You are a helpful assistant."), (99, f"{texts[n]} and more")] for n in range(20)
    }
    first = [n for n, fields in asked.items() if next(iter(made.candidates(HERE, 100, fields))) == n]
    assert len(first) > 15
