"""What a request gets instead of a miss, where the user asked for something: an answer, marked as such.

One contract (`Instead`): an answer, or None where there is none; then it is a miss after all.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.core.miss import Miss
from harness.replay.answers import Recorded
from harness.replay.connection import Answer
from harness.replay.match import Library
from harness.replay.reader import Incoming

MARK = "x-harness-match"
"""The header of an answer that is not the recorded one for an equal request."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer in place of a miss: in a word for the sum, and in words for the log."""

    word: str
    words: str
    answer: Answer


type Instead = Callable[[Miss, Incoming, str], Given | None]
"""Makes an answer of a miss, the request, and its session."""


def fuzzy(library: Library[Recorded]) -> Instead:
    """Answers with the exchange whose request is alike enough."""

    def give(miss: Miss, incoming: Incoming, session: str) -> Given | None:
        found = library.alike(miss, session, upstream_of(incoming, library))
        if found is None:
            return None
        entry, likeness = found
        mark = f"fuzzy {int(likeness * 100) / 100:.2f}"  # never rounded up
        playback = entry.answer.marked((MARK, mark), incoming.client)
        words = f"answered by exchange {entry.label}, whose request is {mark.partition(' ')[2]} alike"
        return Given("fuzzy", words, Answer(playback, label=entry.label))

    return give


def upstream_of(incoming: Incoming, library: Library[Recorded]) -> str:
    """The upstream that a request asks, by its origin or as `/NAME/…`; "": any."""
    return incoming.origin or library.without_name(incoming.request)[0]
