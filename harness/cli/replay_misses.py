"""The options of `harness replay` for misses: what they get, and what the summary says of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from harness.core.errors import BadInput, MissingExtra, NotRecorded
from harness.core.matching.words import OnMiss

if TYPE_CHECKING:
    from harness.child import Child
    from harness.record.upstream import Upstream
    from harness.replay.relay import Target
    from harness.replay.service import Outcome

MISSES_SHOWN = 10
UNSET = ("", "0", "false", "no")
"""Values of `CI` that say that this is none."""

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
    if os.environ.get("CI", "").lower() not in UNSET:
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
    """A `harness record` for each upstream, by its name. NotRecorded where one of them lost something."""
    children: list[Child] = []
    try:
        yield {upstream.name: started(upstream, db, children) for upstream in upstreams}
    finally:
        codes = [child.stop() for child in children]
    if any(codes):
        raise NotRecorded(f"the recorder for {db} ended with code {max(codes)}: see above")


def started(upstream: "Upstream", db: Path, children: "list[Child]") -> "Target":
    """Start the recorder of an upstream."""
    from harness.child import Child, harness_command  # noqa: PLC0415
    from harness.replay.relay import Target  # noqa: PLC0415

    where = f"{upstream.name}={upstream.url}"
    child = Child(harness_command("record", "--upstream", where, "--db", str(db), "--port", "0", "--quiet"))
    children.append(child)
    listens = urlsplit(child.url)
    assert listens.hostname is not None
    assert listens.port is not None
    return Target(listens.hostname, listens.port, upstream.name)


def summary(outcome: "Outcome") -> Iterator[str]:
    """The lines about misses."""
    if outcome.instead:
        told = ", ".join(f"{count} {word}" for word, count in outcome.instead.items())
        yield f"in place of misses: {told}"
    for text, count in list(outcome.misses.items())[:MISSES_SHOWN]:
        yield f"  missed{f' {count} times' if count > 1 else ''}: {text}"
    if len(outcome.misses) > MISSES_SHOWN:
        yield f"  missed: and {len(outcome.misses) - MISSES_SHOWN} others"
