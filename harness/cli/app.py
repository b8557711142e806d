"""The command `harness`: its table of commands, and how every error becomes one line and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import Abort, Exit, TyperException

from harness import __version__
from harness.core.errors import HarnessError

COMMANDS: dict[str, str] = {
    "record": "harness.cli.record:record",
    "replay": "harness.cli.replay:replay",
    "verify": "harness.cli.verify:verify",
    "ls": "harness.cli.ls:ls",
    "show": "harness.cli.show:show",
    "stats": "harness.cli.stats:stats",
    "import": "harness.cli.import_:import_",
    "export": "harness.cli.export:export",
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


for _name, _place in COMMANDS.items():
    _module, _function = _place.split(":")
    app.command(_name)(getattr(import_module(_module), _function))


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
        result = app(own, prog_name="harness", standalone_mode=False, obj=program)
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
