"""Accumulating: what the SDKs' types say, joined with what is committed.

The law of this file: the result allows everything that the committed schema allowed. A member is
required only where every version that knows its object requires it.
"""

from collections.abc import Callable, Iterable

from harness.validate.forms import Schema
from harness.validate.generate.node import Definitions, Node, join, with_counts, with_nulls
from harness.validate.generate.reading import read
from harness.validate.generate.writing import Writer


def accumulate(committed: Schema | None, documents: Iterable[Schema], *, is_request: bool) -> Schema:
    """The schema of one kind of message. `documents` are pydantic's; at least one, or a committed schema.

    A request's optional members may be null; an answer's counts are never negative.
    """
    refined = with_nulls if is_request else with_counts
    versions = [_refined(*read(document), refined) for document in documents]
    if committed is not None:
        versions.append(read(committed))
    root = join(root for root, _ in versions)
    return Writer(definitions for _, definitions in versions).document(root)


def _refined(
    root: Node, definitions: Definitions, refine: Callable[[Node], Node]
) -> tuple[Node, Definitions]:
    return root, {name: refine(node) for name, node in definitions.items()}
