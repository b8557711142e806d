import random
from collections.abc import Callable

import pytest

from harness.load.tokens import FEWEST, FIRST, WORDS, calibrate, estimate
from harness.load.words import Api

KNOWN = frozenset(WORDS[::3])


def tokens_of(word: str) -> int:
    """A tokenizer that knows a third of the words, and writes the others in letters."""
    return 1 if word in KNOWN else len(word)


def templated(text: str) -> int:
    first, *others = text.split(" ")
    return 11 + len(first) + sum(map(tokens_of, others))


def test_only_words_of_one_token_are_used() -> None:
    measure = calibrate(templated)
    assert measure
    assert measure.exact
    assert measure.base == 11 + len(FIRST)
    assert set(measure.words) == {word for word in WORDS if tokens_of(word) == 1}


@pytest.mark.parametrize("tokens", [14, 15, 16, 500])
def test_texts_have_exactly_so_many_tokens(tokens: int) -> None:
    measure = calibrate(templated)
    assert measure
    words = [*measure.beginning(), *measure.words_of(random.Random(1), tokens - measure.base)]
    assert templated(" ".join(words)) == measure.length(words) == tokens


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(len, id="letters"),
        pytest.param(lambda text: len(text.split()) - (len(text.split()) > 90), id="words that join"),
        pytest.param(lambda text: 1, id="nothing"),
    ],
)
def test_tokens_that_do_not_follow_words_give_no_measure(count: Callable[[str], int]) -> None:
    assert calibrate(count) is None


def test_few_words_are_too_few() -> None:
    few = frozenset(WORDS[: FEWEST - 1])
    assert calibrate(lambda text: sum(1 if word in few else 2 for word in text.split())) is None


def test_asking_takes_few_questions() -> None:
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return len(text.split()) + 5

    assert calibrate(count)
    assert len(asked) < 10


def test_an_estimate_says_so() -> None:
    assert not estimate(Api.CHAT).exact
    assert estimate(Api.CHAT).base > estimate(Api.COMPLETIONS).base
