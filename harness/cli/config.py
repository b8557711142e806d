"""`harness config`: the effective settings, and where each comes from."""

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import Column, print_rows

COLUMNS = (
    Column("command"),
    Column("setting"),
    Column("value", folds=True),
    Column("source", folds=True),
    Column("variable", rank=1),
)

SECRETS = frozenset({"api-key"})
"""Settings whose values are shown to nobody."""
HIDDEN = "(hidden)"


def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Print the effective settings of all commands, and where each comes from.

    A setting comes from the command line, else from its HARNESS_* variable, else from
    [tool.harness.COMMAND] of the nearest pyproject.toml, else it is the default.
    """
    from harness.cli.app import commands  # noqa: PLC0415
    from harness.cli.settings import effective, listed  # noqa: PLC0415

    rows = [
        {
            "command": setting.option.command,
            "setting": setting.option.name,
            "value": hidden(setting.option.name, shown(listed(setting))),
            "source": setting.source,
            "variable": setting.option.variable,
        }
        for setting in effective(commands(), Path.cwd(), os.environ)
    ]
    print_rows(COLUMNS, rows, as_json=as_json)


def hidden(name: str, value: object) -> object:
    """A value, or that there is one where it is a secret."""
    return HIDDEN if name in SECRETS and value else value


def shown(value: object) -> object:
    """A value as JSON and people take it."""
    if value is None or isinstance(value, bool | int | float | str | list):
        return value
    return str(value)
