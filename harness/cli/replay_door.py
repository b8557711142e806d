"""The options of `harness replay` that are about its door: faults, API keys, limits; and their summary."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput
from harness.core.visible import counted, visible

if TYPE_CHECKING:
    from harness.core.fault_rules import Rule
    from harness.replay.gate import Limits
    from harness.replay.service import Outcome

SHOWN = 10
"""Lines of the summary that are alike."""

Fault = Annotated[
    list[str] | None,
    typer.Option(
        "--fault",
        metavar="RULE",
        show_default=False,
        help="Play a fault, for example kind=cut,event=3,path=/v1/chat/*,every=5; once for each rule.",
    ),
]
FaultFile = Annotated[
    Path | None, typer.Option("--faults", metavar="FILE", show_default=False, help="Rules of faults (TOML).")
]
ApiKey = Annotated[
    list[str] | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        show_default=False,
        help="Answer 401 to requests without this API key; once for each key.",
    ),
]
Rpm = Annotated[
    int | None,
    typer.Option("--rpm", min=1, metavar="N", show_default=False, help="Requests a minute for each key."),
]
Tpm = Annotated[
    int | None,
    typer.Option("--tpm", min=1, metavar="N", show_default=False, help="Tokens a minute for each key."),
]


def rules_from(texts: Sequence[str] | None, path: Path | None) -> "tuple[Rule, ...]":
    """The rules of the flags, then those of the file."""
    return (*map(rule_in, texts or ()), *(rules_in(path) if path else ()))


def rule_in(text: str) -> "Rule":
    """The rule of a flag (BadInput: it is none)."""
    from harness.core.fault_rules import fields_of, rule_of  # noqa: PLC0415

    try:
        return rule_of(fields_of(text))
    except ValueError as error:
        raise BadInput(f"--fault {visible(text)!r}: {error}") from None


def rules_in(path: Path) -> "list[Rule]":
    """The rules of a file (BadInput: it cannot be read, or is none)."""
    from harness.core.fault_rules import rules_of  # noqa: PLC0415

    try:
        return rules_of(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # TOML's, UTF-8's, and ours
        raise BadInput(f"{path}: {error}") from None


def limits_from(keys: Sequence[str] | None, requests: int | None, tokens: int | None) -> "Limits":
    """What is asked of clients (BadInput: a key that no header can hold)."""
    from harness.replay.gate import Limits, checked_keys  # noqa: PLC0415

    try:
        return Limits(checked_keys(keys or ()), requests, tokens)
    except ValueError as error:
        raise BadInput(f"--api-key: {error}") from None


def shortened(lines: Sequence[str]) -> Iterator[str]:
    """The first of some lines, and how many more there are."""
    yield from (f"  {line}" for line in lines[:SHOWN])
    if len(lines) > SHOWN:
        yield f"  {lines[0].partition(':')[0]}: and {len(lines) - SHOWN} more"


def summary(outcome: "Outcome") -> Iterator[str]:
    """What the closing lines say of faults and refusals; nothing where there were none."""
    yield from shortened(
        [f"fault: {visible(words)}: {counted(n, 'time')}" for words, n in outcome.faults.items()]
    )
    unfit = outcome.unfit_faults.items()
    yield from shortened(
        [f"fault that did not fit: {visible(words)}: {counted(n, 'time')}" for words, n in unfit]
    )
    for rule in outcome.idle_faults:
        yield f"  fault never played: {visible(rule)}"
    refused = outcome.refused
    if refused.unauthorised or refused.limited:
        yield f"  refused: {refused.unauthorised} for their key (401), {refused.limited} over a limit (429)"
