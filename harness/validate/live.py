"""Checking exchanges while they are recorded, in a process of its own.

`python -m harness.validate.live [json]` reads lines `ID INTERCHANGE` from stdin until its end, prints the
errors of each exchange (profile `compatible`) on stderr, all of an exchange in one write, and at the end
one line of JSON on stdout: how many were `checked`, and how many of them are `wrong`. It repeats nothing
of prompts and answers.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from harness.core.checking import CheckCounts
from harness.core.derive import messages_of
from harness.core.document import Document
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import from_line
from harness.core.visible import visible
from harness.validate.catalog import Catalog
from harness.validate.checker import Checker
from harness.validate.finding import Finding, Part, Profile, Severity
from harness.validate.place import general

STEP_BACK = 5
"""Steps of `nice` behind the writer, which is a few behind the proxy."""
SHOWN = 10
"""Groups of errors that are told of one exchange."""


class ErrorDocument(Document):
    """A group of errors."""

    rule: str
    part: Part
    pointer: str
    message: str
    times: int


class ExchangeDocument(Document):
    """The errors of one exchange; `id` is that of the recording."""

    id: int
    errors: tuple[ErrorDocument, ...]


class Group(NamedTuple):
    """What errors of one kind at one place share; `pointer` has `*` for the elements of lists."""

    rule: str
    part: Part
    pointer: str
    message: str


def grouped(findings: Iterable[Finding]) -> Counter[Group]:
    """The errors among some findings, with how often each is there."""
    errors = (one for one in findings if one.severity(Profile.COMPATIBLE) is Severity.ERROR)
    return Counter(Group(one.rule, one.part, general(one.pointer), one.message) for one in errors)


def as_text(exchange: Exchange, groups: Mapping[Group, int]) -> str:
    """Indented lines under one that names the exchange."""
    lines = [f"  exchange {exchange.id} ({exchange.request.method} {bare(exchange)}) breaks:"]
    for group, times in list(groups.items())[:SHOWN]:
        often = f" ({times} times)" if times > 1 else ""
        place = f"{group.part.value} {group.pointer}".rstrip()
        lines.append(f"    {group.rule}: {place}: {group.message}{often}")
    if len(groups) > SHOWN:
        lines.append(f"    and {len(groups) - SHOWN} more")
    return "\n".join(map(visible, lines))


def as_json(exchange: Exchange, groups: Mapping[Group, int]) -> str:
    """One JSON object."""
    errors = tuple(ErrorDocument(**group._asdict(), times=times) for group, times in groups.items())
    return json.dumps(ExchangeDocument(id=exchange.id, errors=errors).model_dump(mode="json"))


def bare(exchange: Exchange) -> str:
    """The path without its query."""
    return exchange.request.path.partition("?")[0]


def check(checker: Checker, line: str, told: Callable[[Exchange, Mapping[Group, int]], str]) -> str:
    """What to say of the errors of the exchange that a line holds; empty where there are none.

    Raises BadInput: the line is no exchange, or a schema is damaged.
    """
    number, _, text = line.partition(" ")
    exchange = replace(from_line(text, int(number)), id=int(number))
    groups = grouped(checker.exchange(exchange, messages_of(exchange)))
    return told(exchange, groups) if groups else ""


def main() -> int:
    """Run the process."""
    os.nice(STEP_BACK)
    told = as_json if sys.argv[1:] == ["json"] else as_text
    checked = wrong = 0
    try:
        checker = Checker(Catalog.load())
        for line in sys.stdin.buffer:
            text = check(checker, line.decode(), told)
            checked += 1
            wrong += bool(text)
            if text:
                show(text)
    except BadInput as error:
        show(f"harness record: the checker failed: {error}")
    except Exception as error:  # noqa: BLE001  its text may repeat what was recorded
        show(f"harness record: the checker failed: {type(error).__name__}")
    with suppress(BrokenPipeError):
        print(CheckCounts(checked=checked, wrong=wrong).model_dump_json(), flush=True)
    return 0


def show(text: str) -> None:
    """Print for people, if there is anybody left."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{text}\n".encode())


if __name__ == "__main__":
    sys.exit(main())
