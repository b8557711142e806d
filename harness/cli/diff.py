"""`harness diff`: what changed between two recordings of the same program."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.output import Column, decimals, milliseconds, print_json, print_rows
from harness.core.errors import CheckFailed
from harness.core.visible import counted, visible

if TYPE_CHECKING:
    from harness.core.difference import Difference
    from harness.core.pairing import Pair, Side

COLUMNS = [
    Column("a", right=True),
    Column("b", right=True),
    Column("what", folds=True),
    Column("request"),
    Column("answer"),
    Column("ttft_a_ms", rank=1, right=True, show=decimals(1)),
    Column("ttft_b_ms", rank=1, right=True, show=decimals(1)),
    Column("icl_p50_a_ms", rank=2, right=True, show=decimals(2)),
    Column("icl_p50_b_ms", rank=2, right=True, show=decimals(2)),
    Column("duration_a_ms", rank=3, right=True, show=decimals(1)),
    Column("duration_b_ms", rank=3, right=True, show=decimals(1)),
]


def diff(
    a: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    b: Annotated[Path, typer.Argument(help="The same, made later.")],
    everything: Annotated[bool, typer.Option("--all", help="List what is the same as well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of all pairs.")] = False,
) -> None:
    """Compare two recordings: requests, answers, and their times.

    Equal requests belong together in recorded order; of the others, those to the same place that are
    at least half alike. Answers are compared by what they say (status, text, tool calls, tokens), not
    by ids and dates, which change each time. Exit code 1 where requests or answers differ; times are
    shown and judged by nobody.
    """
    from harness.core.pairing import pairs, unequal  # noqa: PLC0415

    found = pairs(sides_of(a), sides_of(b))
    different = list(unequal(found))
    if as_json:
        print_json([object_of(pair) for pair in found])
    else:
        print_pairs(found if everything else different)
    if different:
        raise CheckFailed(f"{counted(len(different), 'exchange')} of {len(found)} differ")


def sides_of(path: Path) -> "list[Side]":
    """What is compared of the exchanges of a recording."""
    from harness.core.derive import derive  # noqa: PLC0415
    from harness.core.pairing import side_of  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    with open_recording(path) as opened:
        return [side_of(exchange, derive(exchange)) for exchange in opened.exchanges()]


def print_pairs(found: "Sequence[Pair]") -> None:
    """A row for each pair, then what differs in each."""
    if not found:
        print("no difference in requests and answers")
        return
    print_rows(COLUMNS, [row_of(pair) for pair in found], as_json=False)
    for pair in found:
        for line in lines_of(pair):
            print(line)


def lines_of(pair: "Pair") -> Iterable[str]:
    """The differences of a pair, under what it is."""
    named = [("request", each) for each in pair.request] + [("answer", each) for each in pair.answer]
    if named and pair.before and pair.after:
        yield f"\n{pair.before.id} -> {pair.after.id}: {visible(pair.before.where)}"
        yield from (f"  {part} {each.where}: {each.recorded} -> {each.requested}" for part, each in named)


def row_of(pair: "Pair") -> dict[str, Any]:
    """The row of a pair."""
    side = pair.before or pair.after
    assert side is not None
    whole = bool(pair.before and pair.after)
    only = "only in a" if pair.before else "only in b"
    return {
        "a": pair.before.id if pair.before else None,
        "b": pair.after.id if pair.after else None,
        "what": side.where,
        "request": told(pair.request) if whole else only,
        "answer": told(pair.answer) if whole else None,
        **times_of(pair.before, "a"),
        **times_of(pair.after, "b"),
    }


def told(found: "Sequence[Difference]") -> str:
    """Whether something differs, in a word or two."""
    return f"{len(found)} changed" if found else "same"


def times_of(side: "Side | None", name: str) -> dict[str, Any]:
    """The times of one side, in ms."""
    timing = side.timing if side else None
    return {
        f"ttft_{name}_ms": milliseconds(timing.ttft_ns) if timing else None,
        f"icl_p50_{name}_ms": milliseconds(timing.icl.p50) if timing and timing.icl else None,
        f"duration_{name}_ms": milliseconds(side.end_ns) if side else None,
    }


def object_of(pair: "Pair") -> dict[str, Any]:
    """The row, with all that differs in place of the words."""
    return row_of(pair) | {"request": changes(pair.request), "answer": changes(pair.answer)}


def changes(found: "Sequence[Difference]") -> list[dict[str, str]]:
    """What differs, for machines."""
    return [{"where": each.where, "a": each.recorded, "b": each.requested} for each in found]
