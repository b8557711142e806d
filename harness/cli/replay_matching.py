"""The options of `harness replay` that say which request gets which answer: rules, order, sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.core.errors import BadInput
from harness.core.matching.words import Kind, Preset, Repeat

if TYPE_CHECKING:
    from harness.core.matching.rules import MatchRules
    from harness.replay.cursors import SessionOf
    from harness.replay.match import Order

MatchOn = Annotated[
    list[str] | None,
    typer.Option(
        "--match-on",
        metavar="PLACE",
        show_default=False,
        help="Compare this: method, path, query, body, header:NAME; once for each. [default: the first four]",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="PATH",
        show_default=False,
        help="Leave a field out: /user, /messages/*/name, $.metadata.id, query.NAME, form.NAME, part.NAME.",
    ),
]
Normalise = Annotated[
    list[Kind] | None,
    typer.Option("--normalise", show_default=False, help="Take all values of a kind for the same."),
]
Default = Annotated[
    list[str] | None,
    typer.Option(
        "--default",
        metavar="PATH=JSON",
        show_default=False,
        help="Take this value of a field for the same as no field: /temperature=1.",
    ),
]
PresetChoice = Annotated[
    Preset | None,
    typer.Option(
        "--preset", show_default=False, help="The dialects' own defaults and noise. [default: defaults]"
    ),
]
Fuzzy = Annotated[
    float | None,
    typer.Option(
        "--fuzzy",
        metavar="LIKENESS",
        show_default=False,
        help="Answer what misses by the nearest exchange if it is so much alike (0 to 1), marked.",
    ),
]
RepeatChoice = Annotated[
    Repeat, typer.Option("--repeat", help="What equal requests get; after the last, sequence misses.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of --repeat random and --on-miss simulate.")]
SessionBy = Annotated[
    str | None,
    typer.Option(
        "--session-by",
        metavar="header:NAME|api-key",
        show_default=False,
        help="Count repeats for each client by itself.",
    ),
]


@dataclass(frozen=True, slots=True)
class Said:
    """What the options say of rules; None or empty: nothing."""

    match_on: Sequence[str] | None
    ignore: Sequence[str] | None
    normalise: Sequence[Kind] | None
    default: Sequence[str] | None
    preset: Preset | None
    fuzzy: float | None

    def given(self) -> dict[str, Any]:
        """What was given, by the names of the rules. BadInput: a default has no value."""
        from harness.core.matching.rules import default_in  # noqa: PLC0415

        said = {
            "match_on": self.match_on,
            "ignore": self.ignore,
            "normalise": self.normalise,
            "defaults": dict(map(default_in, self.default)) if self.default else None,
            "preset": self.preset,
            "fuzzy": self.fuzzy,
        }
        return {name: value for name, value in said.items() if value not in (None, [], ())}


def rules_from(recordings: Sequence[Path], said: Said) -> "MatchRules":
    """The rules beside the recordings, with what the options say. BadInput: a rule is none."""
    from pydantic import ValidationError  # noqa: PLC0415

    from harness.core.matching.rules import over, words_of  # noqa: PLC0415
    from harness.replay.rules_file import rules_beside  # noqa: PLC0415

    beside = rules_beside(recordings)
    try:
        return over(beside, said.given())
    except ValidationError as error:
        name, _, words = words_of(error).partition(":")
        option = name.partition(".")[0]
        raise BadInput(f"--{'default' if option == 'defaults' else option}:{words}") from None


def order_from(repeat: Repeat, seed: int) -> "Order":
    """The order of equal requests."""
    from harness.replay.match import Order  # noqa: PLC0415

    return Order(repeat, seed)


def session_from(text: str | None) -> "SessionOf":
    """What tells clients apart. BadInput: nothing that could."""
    from harness.replay.cursors import session_by  # noqa: PLC0415

    return session_by(text)
