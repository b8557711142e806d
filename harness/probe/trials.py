"""What is to be tried: exchanges of the recording, and built-in ones for what it lacks.

The provider plays one interchange file of all of them; a trial's number is its exchange's id there.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from harness.core.canonical import match_key
from harness.core.dialects import recognise
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import to_line
from harness.probe.behaviours import DEPARTURES, WHOLE_STREAM, Behaviour, shows
from harness.probe.cases import built_in
from harness.store.open import open_recording

MOST_STREAMS = 20
MOST_OF_A_KIND = 3
"""Recorded exchanges that are tried for one behaviour: more of the same say little more."""


class Source(StrEnum):
    """Where an exchange is from."""

    RECORDING = "recording"
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Trial:
    """An exchange to be played, and what it is to show."""

    number: int
    exchange: Exchange
    behaviours: tuple[Behaviour, ...]
    source: Source


def trials_of(path: Path, dialect: str | None) -> list[Trial]:
    """What to try: of the recording what it has, built-in ones for the rest.

    BadInput: the recording has nothing of this dialect that can be tried.
    """
    with open_recording(path) as recording:
        exchanges = [one for one in recording.exchanges() if is_of(one, dialect)]
    chosen = list(recorded(exchanges))
    if not any(WHOLE_STREAM[0] in behaviours for behaviours, _ in chosen):
        what = f"of the dialect {dialect} " if dialect else ""
        raise BadInput(f"{path}: no stream {what}in it came to its end uncompressed: try another recording")
    return numbered(chosen)


def is_of(exchange: Exchange, dialect: str | None) -> bool:
    """Whether an exchange speaks this dialect; any will do where none is asked for."""
    return dialect is None or recognise(exchange.request).name == dialect


def recorded(exchanges: Iterable[Exchange]) -> Iterable[tuple[tuple[Behaviour, ...], Exchange]]:
    """The exchanges that show something that others have not shown often enough."""
    seen: Counter[Behaviour] = Counter()
    keys: set[str] = set()
    for exchange in exchanges:
        key, behaviours = key_of(exchange), shows(exchange)
        if key in keys:  # a gateway may drop the header that asks for one of them
            continue
        most = MOST_STREAMS if WHOLE_STREAM[0] in behaviours else MOST_OF_A_KIND
        if any(seen[one] < most for one in behaviours[:1]):
            seen.update(behaviours)
            keys.add(key)
            yield behaviours, exchange


def key_of(exchange: Exchange) -> str:
    """What the requests of two exchanges share if a replay takes them for the same."""
    request = exchange.request
    return match_key(request.method, request.path, request.body, request.headers)


def numbered(chosen: Sequence[tuple[tuple[Behaviour, ...], Exchange]]) -> list[Trial]:
    """Recorded exchanges, and built-in ones for what they lack; always a plain stream, for its even gaps."""
    shown = {one for behaviours, _ in chosen for one in behaviours}
    lacking = [
        (behaviours, exchange)
        for behaviours, exchange in built_in()
        if behaviours == WHOLE_STREAM or not shown.issuperset(behaviours)
    ]
    lacking.sort(key=lambda one: one[0][0] not in DEPARTURES)  # what is left plays on for a while
    sources = [*((Source.RECORDING, *one) for one in chosen), *((Source.BUILT_IN, *one) for one in lacking)]
    return [
        Trial(number, replace(exchange, id=number, upstream=""), behaviours, source)
        for number, (source, behaviours, exchange) in enumerate(sources, 1)
    ]


def write(trials: Iterable[Trial], path: Path) -> None:
    """The file that the provider plays; ids there are the trials' numbers."""
    path.write_text("".join(f"{to_line(trial.exchange)}\n" for trial in trials), "utf-8")
