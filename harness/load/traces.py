"""Traces: when others' requests came and how long they were, from the public formats.

The law of this file: a format is a row of `FORMATS`, told by the names of its fields alone. Whatever is
wrong with a file is BadInput with the file, the line and what is wrong, and nothing of the line itself.

| format | file | time | lengths | prefixes |
|---|---|---|---|---|
| Mooncake | JSONL | `timestamp`, ms | `input_length`, `output_length` | `hash_ids`, blocks of 512 tokens |
| Qwen-Bailian | JSONL with `chat_id` | `timestamp`, s | the same | `hash_ids`, blocks of 16 tokens |
| Azure | CSV | `TIMESTAMP`, date and time | `ContextTokens`, `GeneratedTokens` | |
| BurstGPT | CSV | `Timestamp`, s | `Request tokens`, `Response tokens` | |

Sources: https://github.com/kvcache-ai/Mooncake (FAST25-release/traces),
https://github.com/alibaba-edu/qwen-bailian-usagetraces-anon, https://github.com/Azure/AzurePublicDataset
(AzureLLMInferenceDataset2023.md and 2024), https://github.com/HPMLL/BurstGPT.

An id in `hash_ids` stands for its block and all before it: equal ids mean an equal prefix.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput

S = 1_000_000_000
MS = 1_000_000
MOST_TOKENS = 10_000_000
"""No prompt is longer: a larger number is a mistake."""
MOST_TIME = 2**62


@dataclass(frozen=True, slots=True)
class Row:
    """A request of a trace. `at_ns` counts from any moment; `blocks` are ids of its prefix."""

    at_ns: int
    tokens_in: int
    tokens_out: int
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in the order of its times. `block`: tokens that an id of `blocks` stands for (0: none)."""

    name: str
    rows: tuple[Row, ...]
    block: int = 0


type Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read. `fields` tell it: of several that fit, the first in the table counts."""

    name: str
    fields: frozenset[str]
    at: str
    time: Callable[[Any], int]
    tokens_in: str
    tokens_out: str
    block: int = 0

    def row(self, fields: Fields) -> Row:
        """One line. ValueError says what is wrong with it."""
        for name in (self.at, self.tokens_in, self.tokens_out):
            if name not in fields:
                raise ValueError(f"'{name}' is missing")
        at = told(self.at, self.time, fields[self.at])
        lengths = [told(name, tokens, fields[name]) for name in (self.tokens_in, self.tokens_out)]
        blocks = told("hash_ids", ids, fields.get("hash_ids", [])) if self.block else ()
        return Row(at, lengths[0], lengths[1], blocks)


def told[T](name: str, read: Callable[[Any], T], value: Any) -> T:
    """A field as `read` reads it; ValueError with its name."""
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"'{name}' {error}") from None


def tokens(value: Any) -> int:
    """A number of tokens."""
    number = number_of(value)
    if number != int(number) or not 0 <= number <= MOST_TOKENS:
        raise ValueError("is no number of tokens")
    return int(number)


def number_of(value: Any) -> float:
    """A finite number, of JSON or of a CSV file."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is no number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("is no number") from None
    if not math.isfinite(number):
        raise ValueError("is no number")
    return number


def in_units(unit: int) -> Callable[[Any], int]:
    """Reads a time in units of so many ns."""

    def read(value: Any) -> int:
        number = number_of(value)
        if not 0 <= number * unit < MOST_TIME:
            raise ValueError("is no time")
        return round(number * unit)

    return read


DATE = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?")


def date(value: Any) -> int:
    """Date and time, to 100 ns (2023: no zone) or 1 µs (2024: with a zone), as ns since 1970."""
    found = DATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is no date and time")
    try:
        moment = datetime.fromisoformat(found[1] + (found[3] or "+00:00"))
    except ValueError:
        raise ValueError("is no date and time") from None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * S + int((found[2] or "").ljust(9, "0"))


def ids(value: Any) -> tuple[int, ...]:
    """The ids of blocks."""
    if not isinstance(value, list) or not all(type(one) is int for one in value):
        raise ValueError("is no list of integers")
    return tuple(value)


LENGTHS = frozenset({"timestamp", "input_length", "output_length"})
FORMATS = (
    Format(
        "Qwen-Bailian", LENGTHS | {"chat_id"}, "timestamp", in_units(S), "input_length", "output_length", 16
    ),
    Format("Mooncake", LENGTHS, "timestamp", in_units(MS), "input_length", "output_length", 512),
    Format(
        "Azure",
        frozenset({"TIMESTAMP", "ContextTokens", "GeneratedTokens"}),
        "TIMESTAMP",
        date,
        "ContextTokens",
        "GeneratedTokens",
    ),
    Format(
        "BurstGPT",
        frozenset({"Timestamp", "Request tokens", "Response tokens"}),
        "Timestamp",
        in_units(S),
        "Request tokens",
        "Response tokens",
    ),
)
EXPECTED = "Mooncake or Qwen-Bailian (JSONL), Azure or BurstGPT (CSV with its header)"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a file is read: so many requests, or those of its first `span_ns`. None: no limit.

    The published files are in the order of their times.
    """

    rows: int | None = None
    span_ns: int | None = None

    def is_reached(self, rows: list[Row]) -> bool:
        """Whether these are enough, the last of them perhaps too many."""
        by_span = self.span_ns is not None and rows[-1].at_ns - rows[0].at_ns > self.span_ns
        return by_span or (self.rows is not None and len(rows) >= self.rows)


def read_trace(path: Path, limit: Limit | None = None) -> Trace:
    """The trace of a file, told apart by content. BadInput."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return trace_of(path, file, limit or Limit())
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: is the path right?") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no trace: it is no UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def trace_of(path: Path, text: Iterable[str], limit: Limit) -> Trace:
    """The trace of the lines of a text; `path` is named in errors."""
    lines = numbered(path, text)
    first = next(lines, None)
    if first is None:
        raise BadInput(f"{path} holds no requests: it is empty")
    found = next((row for row in FORMATS if row.fields <= first[1].keys()), None)
    if found is None:
        raise unknown(path, *first)
    rows = [row_of(path, found, *first)]
    while not limit.is_reached(rows) and (line := next(lines, None)) is not None:
        rows.append(row_of(path, found, *line))
    rows.sort(key=lambda row: row.at_ns)
    return Trace(found.name, tuple(rows), found.block)


def unknown(path: Path, number: int, fields: Fields) -> BadInput:
    """What to say of a first line that no format fits: what the nearest format lacks, if it is near."""
    nearest = max(FORMATS, key=lambda row: len(row.fields & fields.keys()) / len(row.fields))
    missing = sorted(nearest.fields - fields.keys())
    if len(missing) < len(nearest.fields):
        return BadInput(f"{path}, line {number}: '{missing[0]}' is missing, which {nearest.name} traces have")
    return BadInput(f"{path} is no trace that is known: {EXPECTED}")


def row_of(path: Path, found: Format, number: int, fields: Fields) -> Row:
    """One line of a known format. BadInput."""
    try:
        return found.row(fields)
    except ValueError as error:
        raise BadInput(f"{path}, line {number}: {error}") from None


def numbered(path: Path, text: Iterable[str]) -> Iterator[tuple[int, Fields]]:
    """Line number (from 1) and fields of each line that is not blank, of JSONL or of CSV with a header."""
    lines = ((number, line) for number, line in enumerate(text, 1) if line.strip())
    head = next(lines, None)
    if head is None:
        return
    if head[1].lstrip().startswith("{"):
        yield head[0], json_fields(path, *head)
        for number, line in lines:
            yield number, json_fields(path, number, line)
        return
    names = names_of(path, head[1])
    empty = True
    for number, line in lines:
        empty = False
        yield number, csv_fields(path, number, names, line)
    if empty and any(row.fields <= set(names) for row in FORMATS):
        raise BadInput(f"{path} holds no requests: it has a header alone")
    if empty:
        raise BadInput(f"{path} is no trace that is known: {EXPECTED}")


def json_fields(path: Path, number: int, line: str) -> Fields:
    """A line of JSONL. BadInput."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise BadInput(f"{path}, line {number}: is no JSON") from None
    if not isinstance(fields, dict):
        raise BadInput(f"{path}, line {number}: is no JSON object")
    return fields


def names_of(path: Path, line: str) -> list[str]:
    """The names in the header of a CSV file. BadInput."""
    try:
        return [name.strip() for name in next(csv.reader([line]))]
    except (csv.Error, StopIteration):
        raise BadInput(f"{path} is no trace that is known: {EXPECTED}") from None


def csv_fields(path: Path, number: int, names: list[str], line: str) -> Fields:
    """A line of CSV; none of these formats has line breaks inside of fields. BadInput."""
    try:
        values = next(csv.reader([line], strict=True))
    except (csv.Error, StopIteration):
        raise BadInput(f"{path}, line {number}: is no CSV") from None
    if len(values) != len(names):
        raise BadInput(f"{path}, line {number}: has {len(values)} fields where the header has {len(names)}")
    return dict(zip(names, values, strict=True))
