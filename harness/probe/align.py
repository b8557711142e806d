"""Which event of the provider became which event at the client. Pure.

Events that are equal are joined in their order. Between those, where a gateway rewrites every event, the
order-keeping pairing with the highest sum of likeness counts (Needleman and Wunsch, 1970), where likeness
is the weighted share of equal leaves: a leaf that is in every event (a model's name) says little, one that
is in a single event (its text) says all. What is left over is lost, moved, doubled or added.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import chain

from harness.core.canonical import flatten
from harness.probe.blocks import NO_JSON, Block

MOST_PAIRED = 250_000
"""Pairs of events that are weighed within one gap; beyond that, they are joined in their order."""
LEAST = 0.1
"""The likeness of two events that have fields in common, but no value."""

type Leaf = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Joined:
    """Numbers of events: pairs are (provider's, client's).

    - `pairs`: in order. - `moved`: equal, but out of order. - `lost`: the provider's that never came.
    - `doubled`: came once more. - `added`: the client's that the provider never sent.
    """

    pairs: list[tuple[int, int]] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)


def align(sent: Sequence[Block], got: Sequence[Block]) -> Joined:
    """Join the provider's events with the client's."""
    sent_keys, got_keys = [one.key() for one in sent], [one.key() for one in got]
    joined = Joined()
    matcher = SequenceMatcher(None, sent_keys, got_keys, autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind == "equal":
            joined.pairs.extend(zip(range(i, i_end), range(j, j_end), strict=True))
        elif kind == "replace":
            joined.pairs.extend(pair_alike(sent, got, range(i, i_end), range(j, j_end)))
    sort_out(joined, sent_keys, got_keys)
    return joined


def sort_out(joined: Joined, sent_keys: Sequence[object], got_keys: Sequence[object]) -> None:
    """Say what became of the events that have no partner."""
    paired, taken = {i for i, _ in joined.pairs}, {j for _, j in joined.pairs}
    left: defaultdict[object, deque[int]] = defaultdict(deque)
    for i in sorted(set(range(len(sent_keys))) - paired):
        left[sent_keys[i]].append(i)
    known = set(sent_keys)
    for j in sorted(set(range(len(got_keys))) - taken):
        if twins := left.get(got_keys[j]):
            joined.moved.append((twins.popleft(), j))
        else:
            (joined.doubled if got_keys[j] in known else joined.added).append(j)
    joined.lost.extend(sorted(chain.from_iterable(left.values())))


def pair_alike(
    sent: Sequence[Block], got: Sequence[Block], rows: range, columns: range
) -> Iterator[tuple[int, int]]:
    """Pairs of events that were rewritten, in order."""
    if len(rows) * len(columns) > MOST_PAIRED:
        yield from zip(rows, columns, strict=False)
        return
    mine, theirs = [leaves_of(sent[i]) for i in rows], [leaves_of(got[j]) for j in columns]
    weights = weights_of([*mine, *theirs])
    scores = [[likeness(one, other, weights) for other in theirs] for one in mine]
    for i, j in best_path(scores):
        yield rows[i], columns[j]


def leaves_of(block: Block) -> frozenset[Leaf]:
    """The leaves of an event: pointer and value."""
    value = block.value()
    if value is NO_JSON:
        return frozenset({(f"comment {block.comment}", block.data.decode("utf-8", "surrogateescape"))})
    return frozenset((pointer, repr(leaf)) for pointer, leaf in flatten(value).items())


def weights_of(all_leaves: Sequence[frozenset[Leaf]]) -> Mapping[Leaf, float]:
    """What a leaf says: the less, the more events have it."""
    counts = Counter(leaf for leaves in all_leaves for leaf in leaves)
    return {leaf: 1 / count for leaf, count in counts.items()}


def likeness(one: frozenset[Leaf], other: frozenset[Leaf], weights: Mapping[Leaf, float]) -> float:
    """Weight of the equal leaves over that of all (Jaccard's index, weighted); 0 where no pointer is shared.

    A leaf that two events alone share weighs a half in each, so it counts as one.
    """
    equal = 2 * sum(weights[leaf] for leaf in one & other)
    every = equal + sum(weights[leaf] for leaf in one ^ other)
    score = equal / every if every else 1.0
    pointers = {pointer for pointer, _ in one} & {pointer for pointer, _ in other}
    return max(score, LEAST if pointers else 0.0)


def best_path(scores: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs, ascending on both sides, whose scores add up to the most."""
    height, width = len(scores), len(scores[0]) if scores else 0
    best = [[0.0] * (width + 1) for _ in range(height + 1)]
    for i in range(height):
        for j in range(width):
            best[i + 1][j + 1] = max(best[i][j] + scores[i][j], best[i][j + 1], best[i + 1][j])
    found, i, j = [], height, width
    while i and j:
        if scores[i - 1][j - 1] > 0 and best[i][j] == best[i - 1][j - 1] + scores[i - 1][j - 1]:
            i, j = i - 1, j - 1
            found.append((i, j))
        elif best[i][j] == best[i - 1][j]:
            i -= 1
        else:
            j -= 1
    return found[::-1]
