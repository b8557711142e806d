"""The command `harness`: its table of commands, and how every error becomes one line and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, Exit, TyperException

from harness import __version__
from harness.cli.settings import default_map, effective
from harness.core.errors import HarnessError

COMMANDS: dict[str, str] = {
    "record": "harness.cli.record:record",
    "replay": "harness.cli.replay:replay",
    "verify": "harness.cli.verify:verify",
    "validate": "harness.cli.validate:validate",
    "ls": "harness.cli.ls:ls",
    "show": "harness.cli.show:show",
    "stats": "harness.cli.stats:stats",
    "import": "harness.cli.import_:import_",
    "export": "harness.cli.export:export",
    "config": "harness.cli.config:config",
    "demo": "harness.cli.demo:demo",
}
"""Command -> `module:function`. The order is that of the help; heavy imports happen in the functions."""

app = typer.Typer(
    name="harness",
    help="Record, check, replay and load-test the traffic of LLM APIs, with every token at its own time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"harness {__version__}")
        raise Exit(0)


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Record, check, replay and load-test the traffic of LLM APIs, with every token at its own time."""


def commands() -> dict[str, Callable[..., Any]]:
    """The functions of the commands, by the names that people type."""
    places = {name: place.split(":") for name, place in COMMANDS.items()}
    return {name: getattr(import_module(module), function) for name, (module, function) in places.items()}


for _name, _function in commands().items():
    app.command(_name)(_function)


def split_program(arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Arguments of harness, and the program behind the first `--` (None: there is no `--`).

    >>> split_program(["replay", "a.db", "--", "pytest", "-q"])
    (['replay', 'a.db'], ['pytest', '-q'])
    """
    own = list(arguments)
    if "--" not in own:
        return own, None
    at = own.index("--")
    return own[:at], own[at + 1 :]


def fail(message: str, exit_code: int) -> int:
    """Print an error as one line on stderr and return the exit code."""
    print(f"harness: error: {' '.join(message.split())}", file=sys.stderr)
    return exit_code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code (0 fine, 1 check failed, 2 bad input, 3 untrusted, 4 lost)."""
    own, program = split_program(sys.argv[1:] if arguments is None else arguments)
    if program == []:
        return fail("nothing stands behind '--': name the command to run", 2)
    try:
        settings = default_map(effective(commands(), Path.cwd(), os.environ))
        result = app(own, prog_name="harness", standalone_mode=False, obj=program, default_map=settings)
    except HarnessError as error:
        return fail(str(error), error.exit_code)
    except TyperException as error:
        return fail(f"{error.format_message().rstrip('.')}; try 'harness --help'", error.exit_code)
    except (Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        sys.stderr.close()
        return 0
    return int(result or 0)
