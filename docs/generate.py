"""Write the pages of `docs/` that say what the code says; with `--check`, only say whether they are current.

`commands.md` is the help of the commands, `rules.md` the table of the rules, `gpu-counters.md` that of the
counters of a GPU log, the first table of `faults.md` that of the faults, `datasette/metadata.yaml` what
Datasette is told of a recording.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from itertools import groupby
from pathlib import Path
from textwrap import indent

from harness.cli.app import COMMANDS, main
from harness.core.faults import ANY, KINDS, Fault, names_of
from harness.load.gpu.counters import COUNTERS, PROCESSES, REASONS, XID
from harness.load.gpu.dcgm import METRICS
from harness.store.schema import FORMATS
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

COUNTERS_OPENING = """# Counters of a GPU log

Written by `make docs` from the tables in `harness/load/gpu/`: change those, not this page. How they are
read, and what they mean: [gpu.md](gpu.md).

A counter's name is its column in `gpu_samples`, its key in the JSON Lines, and, behind `harness_gpu_`, its
metric in the Prometheus text (`_total` follows where it only grows). Units are NVML's own. *only grows*:
counted since the driver was loaded, so only differences mean anything. *at most*: how often it is read,
whatever `--rate` says.
"""
REASONS_OPENING = """## Throttle reasons

The bits of `throttle_reasons`, and their words in `gpu_samples.throttling`, in the live table and as
`harness_gpu_throttled{reason="..."}`. `gpu_idle` is no throttling: figures leave it out.
"""

METADATA_OPENING = """\
# Written by `make docs` from harness/store/schema.py and queries.yaml: change those, not this file.
# With the plugin beside it, what is said here of `recording` holds for every file: see docs/recordings.md.
title: Recordings of harness
description: Traffic with LLM APIs, and load on them, token by token.
source: harness
databases:
  recording:
"""
BLOCK = re.compile(r"(<!-- kinds: written by make docs -->\n).*?(<!-- end -->)", re.DOTALL)
TABLE = re.compile(r"CREATE TABLE (\w+) \((?: *-- (.*))?")
COLUMN = re.compile(r"    ([a-z]\w*) [A-Z][^-]*(?:-- (.*))?")
UNITS = {"_ns": "ns", "_us": "us", "_bytes": "byte", "_mw": "mW", "_mj": "mJ", "_mhz": "MHz", "_s": "s"}
"""End of a column's name -> its unit, as Pint calls it; Datasette then shows `12.3 ms`."""
DATES = frozenset({"monotonic_ns", "wall_ns"})
"""Moments of a clock: no lengths of time that anybody reads."""


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
    rows = ((f"`{r.name}`", r.says, r.scope, *(SEVERITIES[r.kind][p] for p in Profile)) for r in rules)
    return markdown(("rule", "says", "of", *Profile), rows)


def counters_page() -> str:
    """The counters with their NVML functions and dcgm-exporter's names, and the throttle reasons."""
    dcgm: dict[str, list[str]] = {}
    for name, metric in METRICS.items():
        dcgm.setdefault(metric.counter, []).append(f"`{name}`")
    head = ("counter", "is", "unit", "at most", "", "NVML", "dcgm-exporter")
    rows = (
        (
            f"`{c.name}`",
            c.says,
            c.unit,
            "as it happens" if c is XID else f"{c.most_hz:g} Hz",
            "only grows" if c.grows else "",
            f"`{c.function}`",
            ", ".join(dcgm.get(c.name, [])) or ("`DCGM_FI_DEV_XID_ERRORS`" if c is XID else ""),
        )
        for c in (*COUNTERS, PROCESSES, XID)
    )
    reasons = ((f"`{bit:#x}`", f"`{word}`") for bit, word in REASONS.items())
    tables = markdown(head, rows), markdown(("bit", "reason"), reasons)
    return "\n".join([COUNTERS_OPENING, tables[0], "", REASONS_OPENING, f"{tables[1]}\n"])


def metadata_page() -> str:
    """What Datasette shows of a recording: what tables and columns are, units, and saved queries."""
    statements = (statement for statements in FORMATS.values() for statement in statements)
    tables = [line for statement in statements for line in table_metadata(statement)]
    queries = (FOLDER / "datasette" / "queries.yaml").read_text(encoding="utf-8")
    said = "\n".join(["tables:", *(f"  {line}" for line in tables), "queries:", indent(queries, "  ")])
    return METADATA_OPENING + indent(said, "    ")


def table_metadata(statement: str) -> Iterator[str]:
    """The lines of a table, from the comments of the statement that creates it."""
    head, *lines = statement.strip().splitlines()
    if not (table := TABLE.fullmatch(head)):
        return
    columns = [column.groups() for line in lines if (column := COLUMN.fullmatch(line))]
    yield f"{table[1]}:"
    if table[2]:
        yield f"  description: {quoted(table[2])}"
    yield from section("columns", {name: quoted(says) for name, says in columns if says})
    yield from section("units", {name: unit for name, _ in columns if (unit := unit_of(name))})


def section(title: str, values: Mapping[str, str]) -> Iterator[str]:
    """A mapping of a table, if it says anything."""
    if values:
        yield f"  {title}:"
        yield from (f"    {name}: {value}" for name, value in values.items())


def quoted(text: str) -> str:
    """Text as YAML takes it: JSON is YAML."""
    return json.dumps(text, ensure_ascii=False)


def unit_of(column: str) -> str | None:
    """The unit that a column's name ends in; rates and moments have none here."""
    if column in DATES or re.search(r"_k?i?b_s$", column):
        return None
    return next((unit for end, unit in UNITS.items() if column.endswith(end)), None)


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = tuple(head)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (names, ("---",) * len(names), *rows))


def faults_page() -> str:
    """The page of faults, with the table of kinds as their models say it."""
    page = (FOLDER / "faults.md").read_text(encoding="utf-8")
    head = ("kind", "what happens", "fields", "bodies")
    rows = ((f"`{kind}`", says(model), fields(model), bodies(model)) for kind, model in KINDS.items())
    return BLOCK.sub(lambda found: f"{found[1]}{markdown(head, rows)}\n{found[2]}", page)


def says(model: type[Fault]) -> str:
    """The first line of a model's docstring."""
    return (model.__doc__ or "").strip().splitlines()[0]


def fields(model: type[Fault]) -> str:
    """The fields of a fault and their defaults."""
    named = zip(names_of(model), (f for n, f in model.model_fields.items() if n != "kind"), strict=True)
    plain = (None, "", ...)
    return ", ".join(
        f"`{name}`"
        + ("" if f.is_required() or f.default_factory or f.default in plain else f" ({f.default})")
        for name, f in named
    )


def bodies(model: type[Fault]) -> str:
    """The forms of bodies that a fault does something to."""
    return "any" if model.of == ANY else ", ".join(model.of)


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "rules.md": rules_page,
    "gpu-counters.md": counters_page,
    "faults.md": faults_page,
    "datasette/metadata.yaml": metadata_page,
}


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
