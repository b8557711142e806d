"""The options of `harness replay` for misses: what they get, and what the summary says of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput, MissingExtra
from harness.core.matching.words import OnMiss
from harness.core.record_mode import is_ci

if TYPE_CHECKING:
    from harness.record.upstream import Upstream
    from harness.replay.relay import Target
    from harness.replay.service import Outcome

MISSES_SHOWN = 10
OnMissChoice = Annotated[
    OnMiss,
    typer.Option(
        "--on-miss",
        help="404; or record it from --upstream into the recording; or simulate an answer, marked.",
    ),
]
Upstreams = Annotated[
    list[str] | None,
    typer.Option(
        "--upstream",
        metavar="[NAME=]URL",
        show_default=False,
        help="API that --on-miss record asks, once for each.",
    ),
]


def upstreams_from(
    on_miss: OnMiss, texts: Sequence[str] | None, recordings: Sequence[Path]
) -> "list[Upstream]":
    """The APIs to record misses from; none where nothing is to be recorded. BadInput: that cannot be."""
    if on_miss is not OnMiss.RECORD:
        if texts:
            raise BadInput("--upstream is where --on-miss record asks: add that, or leave --upstream away")
        return []
    if is_ci(os.environ):
        raise BadInput("--on-miss record never records where CI is set: record elsewhere, and replay here")
    if not texts:
        raise BadInput("--on-miss record asks an upstream: add --upstream https://api.openai.com")
    check_recordable(recordings)
    from harness.record.upstream import parse_all  # noqa: PLC0415

    return list(parse_all(texts))


def check_recordable(recordings: Sequence[Path]) -> None:
    """BadInput where there is not one recording that can be appended to; MissingExtra without a recorder."""
    if find_spec("mitmproxy") is None:
        raise MissingExtra("--on-miss record", "record")
    from harness.store.open import head_of  # noqa: PLC0415
    from harness.store.snapshot import MAGIC  # noqa: PLC0415

    if len(recordings) != 1 or not head_of(recordings[0]).startswith(MAGIC):
        raise BadInput("--on-miss record appends to one recording (.db): name that alone")
    if not os.access(recordings[0], os.W_OK):
        raise BadInput(f"--on-miss record appends to {recordings[0]}, which cannot be written")


def named_as(
    recorded: Sequence[str], upstreams: "Sequence[Upstream]", texts: Sequence[str]
) -> "list[Upstream]":
    """The upstreams; one without a name of its own has that of the only one that was recorded."""
    if len(recorded) == 1 and recorded[0] and len(upstreams) == 1 and not is_named(upstreams[0], texts[0]):
        return [replace(upstreams[0], name=recorded[0])]
    return list(upstreams)


def is_named(upstream: "Upstream", text: str) -> bool:
    """Whether the user gave an upstream its name."""
    return text.startswith(f"{upstream.name}=")


@contextmanager
def recorders(upstreams: "Sequence[Upstream]", db: Path) -> "Iterator[Mapping[str, Target]]":
    """The recorders of these upstreams, by name. NotRecorded where one of them lost something."""
    if not upstreams:
        yield {}
        return
    from harness.replay.recorders import recorders as started  # noqa: PLC0415

    with started({upstream.name: upstream.url for upstream in upstreams}, db) as targets:
        yield targets


def summary(outcome: "Outcome") -> Iterator[str]:
    """The lines about misses."""
    if outcome.instead:
        told = ", ".join(f"{count} {word}" for word, count in outcome.instead.items())
        yield f"in place of misses: {told}"
    for text, count in list(outcome.misses.items())[:MISSES_SHOWN]:
        yield f"  missed{f' {count} times' if count > 1 else ''}: {text}"
    if len(outcome.misses) > MISSES_SHOWN:
        yield f"  missed: and {len(outcome.misses) - MISSES_SHOWN} others"
