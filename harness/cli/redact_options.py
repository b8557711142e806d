"""The options that say what is secret beside the defaults, and the rules that come of them."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput
from harness.core.visible import counted, visible

if TYPE_CHECKING:
    from harness.core.redaction import Rules

SHOWN = 6
"""Rules that the closing line names."""

Header = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Mask this header too; '*-id' means any that ends so."),
]
Query = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Mask this key of queries and forms too.")
]
Field = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Mask fields of this name too: in JSON, forms and multipart bodies."),
]
Json = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="Mask what is at a JSON path too: '$.messages[*].name', '$..user'."),
]
Pattern = Annotated[
    list[str] | None,
    typer.Option(metavar="REGEX", help="Mask what this finds too, or its first group. It is stored."),
]
Email = Annotated[bool, typer.Option("--redact-email", help="Mask e-mail addresses too.")]


def rules(
    headers: Sequence[str] | None,
    query: Sequence[str] | None,
    fields: Sequence[str] | None,
    paths: Sequence[str] | None,
    patterns: Sequence[str] | None,
    *,
    email: bool,
) -> "Rules":
    """What is secret by default and by these options. BadInput: one of them cannot work."""
    from harness.core.redaction_rules import EMAIL, Rules  # noqa: PLC0415

    own = Rules(
        headers=tuple(name.lower() for name in headers or ()),
        query=tuple(name.lower() for name in query or ()),
        forms=(EMAIL,) if email else (),
        names=tuple(fields or ()),
        paths=tuple(paths or ()),
        patterns=tuple(patterns or ()),
    )
    try:
        own.check()
    except ValueError as error:
        raise BadInput(f"--redact-{error}") from None
    return Rules.default() | own


def in_force(rules: "Rules", *, redact: bool) -> "Rules | None":
    """The rules that hold; None with `--no-redact`, which leaves out one's own as well, and says so."""
    if redact:
        return rules
    if rules != type(rules).default():
        note = "--no-redact: nothing is masked, not even by the --redact- rules that are given"
        print(f"harness record: note: {note}", file=sys.stderr)
    return None


def masked_line(masked: Mapping[str, int], *, as_json: bool, by: str = "harness record") -> str:
    """At how many places each rule masked something, the busiest first.

    >>> masked_line({"header authorization": 2, "key openai": 1}, as_json=False)
    'harness record: masked 3 places: header authorization 2, key openai 1'
    """
    if as_json:
        return json.dumps({"masked": masked})
    busiest = sorted(masked.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{visible(rule)} {count}" for rule, count in busiest[:SHOWN]]
    more = [f"{len(busiest) - SHOWN} more rules"] if len(busiest) > SHOWN else []
    places = counted(sum(masked.values()), "place")
    return f"{by}: masked {places}: {', '.join([*parts, *more])}"
