"""The options that say which exchanges of a recording are meant, and in which order they are shown.

The law of this file: one place for all commands. A command that takes a `selection` (`filtered`) has
all of `FILTERS` as options in its stead; they mean the same everywhere.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.core.errors import BadInput
from harness.core.exchange import State

if TYPE_CHECKING:
    from harness.store.selection import Selection


def glob(what: str) -> Any:
    """The option of a text that may hold `*`, `?` and `[...]`; several times: any of them."""
    return Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help=f"Only {what}; with *, ? as in file names.", show_default=False),
    ]


FILTERS: dict[str, Any] = {
    "model": glob("of this model"),
    "path": glob("at this path, with or without its query"),
    "dialect": glob("in this dialect"),
    "upstream": glob("of this upstream"),
    "status": Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS", help="Only with this status: 200, 4xx, 400-499, or none.", show_default=False
        ),
    ],
    "state": Annotated[
        list[State] | None,
        typer.Option(help="Only those that ended so.", metavar="STATE", show_default=False),
    ],
    "since": Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only from then on: 2h, 7d, 2026-01-31, an ISO time.")
    ],
    "until": Annotated[str | None, typer.Option(metavar="WHEN", help="Only before then.")],
    "where": Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Only where this holds over the columns of the table exchanges."),
    ],
}
"""Parameter -> its option. Filters are all to hold; a filter that is given several times, once."""

SELECTION = "selection"
GLOBS = ("model", "path", "dialect", "upstream")

Sort = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Order by a column, -COLUMN downwards; several with commas."),
]
Limit = Annotated[int | None, typer.Option(min=0, metavar="N", help="The first N rows.")]


def filtered[R](command: Callable[..., R]) -> Callable[..., R]:
    """A command whose parameter `selection` is made of the filters' options, which stand in its place."""

    @wraps(command)
    def run(**values: Any) -> R:
        chosen = selection_of(**{name: values.pop(name) for name in FILTERS})
        return command(**values, selection=chosen)

    own = signature(command)
    before, after = parted(list(own.parameters.values()))
    options = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=hint)
        for name, hint in FILTERS.items()
    ]
    shown: Any = run
    del shown.__wrapped__  # its parameters are others
    shown.__signature__ = own.replace(parameters=[*before, *options, *after])
    shown.__annotations__ = {
        name: hint for name, hint in command.__annotations__.items() if name != SELECTION
    } | FILTERS
    return run


def parted(parameters: list[Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """What stands before the selection, and behind it."""
    place = [parameter.name for parameter in parameters].index(SELECTION)
    return parameters[:place], parameters[place + 1 :]


def selection_of(
    *, status: Sequence[str] | None, since: str | None, until: str | None, where: str | None, **named: Any
) -> "Selection":
    """What the options ask for; BadInput where one of them cannot be read."""
    from harness.store.selection import Selection, moment_of, statuses_of  # noqa: PLC0415

    patterns = {name: tuple(named[name]) for name in GLOBS if named[name]}
    if named["state"]:
        patterns["state"] = tuple(State(state).value for state in named["state"])
    now = datetime.now().astimezone()
    return Selection(
        patterns=patterns,
        statuses=read("status", statuses_of, ",".join(status)) if status else (),
        since_ns=read("since", moment_of, since, now) if since is not None else None,
        until_ns=read("until", moment_of, until, now) if until is not None else None,
        where=where,
    )


def read[T](option: str, reader: Callable[..., T], *values: Any) -> T:
    """What an option says; BadInput, which names it, where its reader cannot tell."""
    try:
        return reader(*values)
    except ValueError as error:
        raise BadInput(f"--{option} {error}") from None
