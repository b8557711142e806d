"""Recorders beside a replay, each a child of its own: what misses is recorded through them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from harness.child import Child, harness_command
from harness.core.errors import NotRecorded
from harness.replay.relay import Target


@contextmanager
def recorders(
    upstreams: Mapping[str, str], db: Path, options: Sequence[str] = ()
) -> Iterator[Mapping[str, Target]]:
    """A `harness record` for each upstream (name -> URL), by name. NotRecorded where one lost something."""
    children: list[Child] = []
    try:
        yield {name: started(name, f"{name}={url}", db, options, children) for name, url in upstreams.items()}
    finally:
        codes = [child.stop() for child in children]
    if any(codes):
        raise NotRecorded(f"the recorder for {db} ended with code {max(codes)}: see above")


def started(name: str, where: str, db: Path, options: Sequence[str], children: list[Child]) -> Target:
    """Start the recorder of an upstream."""
    words = ("--upstream", where, "--db", str(db), "--port", "0", "--quiet", *options)
    child = Child(harness_command("record", *words))
    children.append(child)
    listens = urlsplit(child.url)
    assert listens.hostname is not None
    assert listens.port is not None
    return Target(listens.hostname, listens.port, name)
