"""Write `docs/commands.md` from the help of the commands; with `--check`, only say whether it is current."""

import os
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from harness.cli.app import COMMANDS, main

PAGE = Path(__file__).with_name("commands.md")
OPENING = (
    "# Commands\n\nWritten by `make docs` from the commands' own help: change the help, not this page.\n"
)


def help_of(*names: str) -> str:
    """What `harness NAMES --help` prints."""
    said = StringIO()
    with redirect_stdout(said):
        main([*names, "--help"])
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def page() -> str:
    """The whole page: the help of `harness` and of each of its commands."""
    sections = [((), "harness"), *(((name,), f"harness {name}") for name in COMMANDS)]
    return "\n".join(
        [OPENING, *(f"## {title}\n\n```text\n{help_of(*names)}\n```\n" for names, title in sections)]
    )


def run(check: bool) -> int:
    """Write the page, or compare it; 1 where it differs."""
    wanted = page()
    if not check:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    print("docs/commands.md is not what the commands say: run 'make docs'", file=sys.stderr)
    return 1


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"  # the same page on every terminal
    sys.exit(run("--check" in sys.argv[1:]))
