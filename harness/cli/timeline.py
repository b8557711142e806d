"""The timeline of a response: what came when, with the wait before it as a bar.

The law of this file: offsets are the recorded ones in ns from t0, gaps the differences between
neighbours; the first gap is counted from t0, so it is the TTFT.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from harness.cli.output import milliseconds, sparkline
from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.core.visible import visible

BAR = 20
"""Cells of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉█"
HEAD, TAIL = 20, 10
"""Marks that are shown of a long timeline."""
BINS = 60
"""Blocks of the line that shows the whole response."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that came: when, after which gap (ns), and its text."""

    offset_ns: int
    gap_ns: int
    text: str


def marks_of(exchange: Exchange, derived: Derived) -> tuple[str, list[Mark]]:
    """What a timeline shows, and its name: tokens where there are any, else events, else chunks."""
    if not exchange.timing_known or exchange.response is None:
        return "", []
    if derived.content_ns:
        return "tokens", spaced(derived.content_ns, derived.content_text)
    if derived.events:
        texts = [event.data.decode("utf-8", "replace") for event in derived.events]
        return "events", spaced([event.offset_ns for event in derived.events], texts)
    chunks = exchange.response.chunks
    return "chunks", spaced([at for at, _ in chunks], [f"{len(data)} bytes" for _, data in chunks])


def spaced(offsets_ns: Sequence[int], texts: Sequence[str]) -> list[Mark]:
    """Marks with their gaps."""
    before = [0, *offsets_ns]
    return [
        Mark(at, at - before[i], text) for i, (at, text) in enumerate(zip(offsets_ns, texts, strict=True))
    ]


def lines_of(name: str, marks: Sequence[Mark], end_ns: int, *, width: int, everything: bool) -> list[str]:
    """The timeline as lines of at most `width` cells, unless everything is asked for."""
    longest = max((mark.gap_ns for mark in marks[1:]), default=0) or marks[0].gap_ns
    shown = [line_of(mark, longest) for mark in marks]
    if not everything and len(marks) > HEAD + TAIL + 1:
        shown[HEAD:-TAIL] = [left_out(marks[HEAD:-TAIL])]
    titles = f"{'at ms':>10} {'gap ms':>9}"
    fitted = shown if everything else [fit(line, width) for line in shown]
    return [headline(name, marks, end_ns), density(marks, end_ns), titles, *fitted]


def fit(line: str, width: int) -> str:
    """A line of at most `width` cells."""
    return line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…"


def headline(name: str, marks: Sequence[Mark], end_ns: int) -> str:
    """How many, in which time, after which wait."""
    span = marks[-1].offset_ns - marks[0].offset_ns
    first, spanned, end = (in_ms(time) for time in (marks[0].offset_ns, span, end_ns))
    what = name if len(marks) > 1 else name.removesuffix("s")
    return f"{len(marks)} {what}: the first after {first} ms, all within {spanned} ms, the end at {end} ms"


def density(marks: Sequence[Mark], end_ns: int) -> str:
    """How many came in each part of the time from t0 to the end."""
    counts = [0] * BINS
    for mark in marks:
        counts[min(BINS - 1, mark.offset_ns * BINS // max(1, end_ns))] += 1
    return f"|{sparkline(counts)}|"


def line_of(mark: Mark, longest_ns: int) -> str:
    """One mark: offset, gap, bar, text."""
    times = f"{in_ms(mark.offset_ns):>10} {in_ms(mark.gap_ns):>9}"
    return f"{times} {bar(mark.gap_ns, longest_ns)} {quoted(mark.text)}"


def left_out(marks: Sequence[Mark]) -> str:
    """What stands for the middle of a long timeline."""
    longest = max(mark.gap_ns for mark in marks)
    return f"{'…':>10} {'':>9} {len(marks)} more, longest gap {in_ms(longest)} ms (--all)"


def bar(gap_ns: int, longest_ns: int) -> str:
    """A gap beside the longest, in eighths of a cell; a longer one (the first) ends in an arrow.

    >>> bar(5, 10), bar(20, 10)[-1]
    ('██████████          ', '▶')
    """
    if gap_ns > longest_ns:
        return "█" * (BAR - 1) + "▶"
    eighths = -(-gap_ns * BAR * 8 // longest_ns) if longest_ns else 0
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(BAR)


def quoted(text: str) -> str:
    """Text with its outer blanks to be seen.

    >>> quoted(" a b ")
    '␣a b␣'
    """
    inner = text.strip(" ")
    start = len(text) - len(text.lstrip(" "))
    end = len(text) - start - len(inner)
    return "␣" * start + visible(inner) + "␣" * end


def in_ms(ns: int) -> str:
    """Nanoseconds as milliseconds with two decimals."""
    return f"{ns / 1e6:.2f}"


def as_rows(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    """The marks for machines."""
    return [
        {"offset_ms": milliseconds(mark.offset_ns), "gap_ms": milliseconds(mark.gap_ns), "text": mark.text}
        for mark in marks
    ]
