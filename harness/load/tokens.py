"""Text of a number of tokens.

The law of this file: pure; the server's tokenizer comes in as a function that counts the tokens of a
whole prompt, with all that a chat template puts around the text.

A text is a fixed first word and words of a list behind it. Where the tokenizer was asked, the list holds
only words that are one token each behind a space, so that a text of n words is a prompt of base + n - 1
tokens, and that is checked on longer texts. Without a tokenizer a word counts as one token, which is
right for the vocabularies of most models; the base is a guess, and so every length is an estimate.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.load.words import Api

FIRST = "The"
"""The first word of every text: what it costs depends on what a template puts before it."""

LIST = """
the a and is was for with that this from one two has have its in on by at as it of but when what only
over own off few fast end early late next first last new old small long high low small great good
time word words text clock stream server request answer model token event chunk wire client second
keeps takes starts ends reads writes holds runs came walk slow little nothing nobody every before after
people water house world day night life hand part place case week company system program question work
number point home room fact month book eye job line side head hour game law car city name team minute
idea body information back parent face level office door health person art war history party result
change morning reason research moment air teacher force education food music paper group problem south
north east west green blue red white black light river sea mountain tree garden bread stone iron gold
silver glass window table chair kitchen market school church road bridge station train ship plane
summer winter spring autumn rain snow wind sun moon star field farm horse dog cat bird fish
doctor lawyer king queen soldier child mother father brother sister friend family son
"""
WORDS = tuple(dict.fromkeys(LIST.split()))
"""Short common words: one token each in most vocabularies. Some are words of the embedded model server."""

FEWEST = 16
"""With fewer words that are one token, texts would be too alike."""
CHECKED = (3, 40, 97)
"""Lengths in words of the texts that prove the rule."""

GUESSED_BASE = {Api.COMPLETIONS: 1}
TEMPLATE = 8
"""Tokens that a chat template adds to a message, and the first word: between 4 and 15 in most models."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How to make a prompt of a number of tokens: `base` are those of a text of the first word alone.

    `exact`: the server's own tokenizer says so; else an estimate.
    """

    words: tuple[str, ...]
    base: int
    exact: bool

    def beginning(self) -> list[str]:
        """The words that every text starts with; they are `base` tokens."""
        return [FIRST]

    def words_of(self, chance: random.Random, tokens: int) -> list[str]:
        """Words that are so many tokens behind others."""
        return chance.choices(self.words, k=max(tokens, 0))

    def length(self, words: Sequence[str]) -> int:
        """The tokens of a prompt of these words, the first of them among them."""
        return self.base + len(words) - 1


def estimate(api: Api) -> Measure:
    """The measure for a server without a tokenizer."""
    return Measure(WORDS, GUESSED_BASE.get(api, TEMPLATE), exact=False)


def calibrate(count: Callable[[str], int]) -> Measure | None:
    """The measure by a server's tokenizer; None where its tokens do not follow words.

    `count` gives the tokens of a whole prompt with this text.
    """
    base = count(FIRST)
    words = tuple(single(count, base, list(WORDS)))
    if len(words) < FEWEST:
        return None
    measure, chance = Measure(words, base, exact=True), random.Random(0)  # noqa: S311
    for length in CHECKED:
        text = [FIRST, *measure.words_of(chance, length - 1)]
        if count(" ".join(text)) != measure.length(text):
            return None
    return measure


def single(count: Callable[[str], int], base: int, words: list[str]) -> list[str]:
    """Those of the words that are one token each behind a space, found by halving what is not."""
    if count(" ".join([FIRST, *words])) - base == len(words):
        return words
    if len(words) == 1:
        return []
    half = len(words) // 2
    return single(count, base, words[:half]) + single(count, base, words[half:])
