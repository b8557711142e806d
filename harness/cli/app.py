"""The command `harness`: its table of commands, and how every error becomes one line and an exit code."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, Exit, TyperException
from typer.main import get_command

from harness import __version__
from harness.cli.settings import default_map, effective
from harness.core.errors import BadInput, HarnessError

COMMANDS: dict[str, str] = {
    "record": "harness.cli.record:record",
    "replay": "harness.cli.replay:replay",
    "run": "harness.cli.run:run",
    "verify": "harness.cli.verify:verify",
    "validate": "harness.cli.validate:validate",
    "load": "harness.cli.load:load",
    "probe": "harness.cli.probe:probe",
    "ls": "harness.cli.ls:ls",
    "show": "harness.cli.show:show",
    "stats": "harness.cli.stats:stats",
    "scan": "harness.cli.scan:scan",
    "report": "harness.cli.report:report",
    "gpu": "harness.cli.gpu:gpu",
    "import": "harness.cli.import_:import_",
    "export": "harness.cli.export:export",
    "diff": "harness.cli.diff:diff",
    "redact": "harness.cli.redact:redact",
    "merge": "harness.cli.merge:merge",
    "split": "harness.cli.split:split",
    "trim": "harness.cli.trim:trim",
    "rm": "harness.cli.rm:rm",
    "config": "harness.cli.config:config",
    "demo": "harness.cli.demo:demo",
}
"""Command -> `module:function`. The order is that of the help; heavy imports happen in the functions."""

RUN_PROGRAMS = ("record", "replay", "run")
"""The commands that run a program behind `--`."""

TAKE_MORE = ("load", "probe")
"""The commands that take what stands behind `--` for something else: options of Locust, a gateway."""

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of writing that are the disk's fault; what a command opens by name, it tells of itself."""

app = typer.Typer(
    name="harness",
    help="Record, check, replay and load-test the traffic of LLM APIs, with every token at its own time.",
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
    ctx: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Record, check, replay and load-test the traffic of LLM APIs, with every token at its own time."""
    if ctx.obj is not None and ctx.invoked_subcommand not in (*RUN_PROGRAMS, *TAKE_MORE):
        *most, last = (f"harness {name}" for name in RUN_PROGRAMS)
        raise BadInput(
            f"harness {ctx.invoked_subcommand} runs no program, but one stands behind '--': "
            f"{', '.join(most)} and {last} do"
        )


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


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. What is wrong with it becomes one line.

    Typer's own way to run would answer a reader who left with exit code 1 before we hear of it.
    """
    own, program = split_program(arguments)
    if program == []:
        return fail("nothing stands behind '--': name the command to run", 2)
    command = get_command(app)
    try:
        settings = default_map(effective(commands(), Path.cwd(), os.environ))
        typed = own or ["--help"]
        with command.make_context("harness", typed, obj=program, default_map=settings) as context:
            return int(command.invoke(context) or 0)
    except Exit as left:
        return left.exit_code
    except HarnessError as error:
        return fail(str(error), error.exit_code)
    except TyperException as error:
        what = error.format_message().rstrip(".").replace("Value error, ", "")  # pydantic's own words
        asked = getattr(error, "ctx", None)  # of the command that could not be understood
        whose = asked.command_path if asked else "harness"
        return fail(f"{what}; try '{whose} --help'", error.exit_code)
    except (Abort, KeyboardInterrupt):
        return 130


def discard_output() -> None:
    """Let what is left in the buffer of stdout go nowhere: Python writes it at its end, and fails again."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code (0 fine, 1 check failed, 2 bad input, 3 untrusted, 4 lost)."""
    code = 0
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        if sys.stdout is not None:  # as it is where the caller closed it
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output left, as `head` does
        discard_output()
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        discard_output()
        code = fail(f"cannot write the output: {error.strerror}", 2)
    return code
