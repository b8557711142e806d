"""Write the pages of `docs/` that say what the code says; with `--check`, only say whether they are current.

`commands.md` is the help of the commands, `rules.md` the table of the rules.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from itertools import groupby
from pathlib import Path

from harness.cli.app import COMMANDS, main
from harness.validate.finding import SEVERITIES, Profile
from harness.validate.rules import RULES, Rule

FOLDER = Path(__file__).parent
COMMANDS_OPENING = (
    "# Commands\n\nWritten by `make docs` from the commands' own help: change the help, not this page.\n"
)
RULES_OPENING = """# Rules

Written by `make docs` from the table in `harness/validate/rules/`: change the rules, not this page.

Schemas judge messages one by one; these rules judge what comes after what, and what adds up. A finding
says what its rule says and how it is broken, with the number of the event (from 1) and a JSON pointer;
it repeats nothing of prompts and answers. Of each rule the first three findings in an answer are told.

The last three columns are the severity under each profile; `compatible` is the default. A rule that is a
warning there is broken by real vendors.

What is missing at the end of a stream is not blamed where the recorder saw it end early (`upstream_cut`,
`upstream_error`, `client_abort`, `interrupted`), nor after an error object, which is an end of its own;
what came before is. An `unterminated` stream is blamed: its end was quiet, its terminator is missing.
A plain answer that is an error is judged by its schema alone.
"""


def help_of(*names: str) -> str:
    """What `harness NAMES --help` prints."""
    said = StringIO()
    with redirect_stdout(said):
        main([*names, "--help"])
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def commands_page() -> str:
    """The help of `harness` and of each of its commands."""
    sections = [((), "harness"), *(((name,), f"harness {name}") for name in COMMANDS)]
    return "\n".join(
        [COMMANDS_OPENING, *(f"## {title}\n\n```text\n{help_of(*names)}\n```\n" for names, title in sections)]
    )


def family(rule: Rule) -> str:
    """The first word of a rule's name."""
    return rule.name.partition(".")[0]


def rules_page() -> str:
    """The rules, a table a family."""
    sections = [f"## {name}\n\n{table(tuple(rules))}\n" for name, rules in groupby(RULES, family)]
    return "\n".join([RULES_OPENING, *sections])


def table(rules: tuple[Rule, ...]) -> str:
    """A Markdown table of rules, with their severity under each profile."""
    head = ("rule", "says", "of", *Profile)
    rows = ((f"`{r.name}`", r.says, r.scope, *(SEVERITIES[r.kind][p] for p in Profile)) for r in rules)
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


PAGES: Mapping[str, Callable[[], str]] = {"commands.md": commands_page, "rules.md": rules_page}


def run(check: bool) -> int:
    """Write the pages, or compare them; 1 where one differs."""
    status = 0
    for name, page in PAGES.items():
        path, wanted = FOLDER / name, page()
        if not check:
            path.write_text(wanted, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != wanted:
            print(f"docs/{name} is not what the code says: run 'make docs'", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"  # the same pages on every terminal
    sys.exit(run("--check" in sys.argv[1:]))
