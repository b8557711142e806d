"""`harness split`: one recording becomes several, a model, an upstream, ... each."""

import re
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.editing import RecordingPath, listing_of
from harness.core.errors import BadInput
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.store.listing import Listed

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
"""What a file's name does without."""
LONGEST = 80


class By(StrEnum):
    """What the exchanges of a part have in common."""

    MODEL = "model"
    UPSTREAM = "upstream"
    DIALECT = "dialect"
    PATH = "path"
    DAY = "day"
    STATE = "state"


KEYS: "dict[By, Callable[[Listed], str | None]]" = {
    By.MODEL: lambda row: row.model,
    By.UPSTREAM: lambda row: row.upstream,
    By.DIALECT: lambda row: row.dialect,
    By.PATH: lambda row: row.path.partition("?")[0],
    By.DAY: lambda row: row.started_at[:10],
    By.STATE: lambda row: row.state,
}


def split(
    recording: RecordingPath,
    into: Annotated[Path, typer.Option("--into", help="Folder for the parts; made where there is none.")],
    by: Annotated[By, typer.Option("--by", help="What the exchanges of a part have in common.")] = By.MODEL,
) -> None:
    """Divide a recording into one file for each model, upstream, dialect, path, day or state.

    A part has the ids, captures and GPU logs of its exchanges; load runs stay behind. Parts are named
    after what they share; the recording stays as it is.
    """
    from harness.store.editing import divided  # noqa: PLC0415

    parts = parts_of(listing_of(recording), by)
    files = {into / f"{stem}{recording.suffix}": ids for stem, ids in named(parts).items()}
    check_free(into, files)
    into.mkdir(parents=True, exist_ok=True)
    divided(recording, files)
    for file, ids in files.items():
        print(f"{file}: {counted(len(ids), 'exchange')}", file=sys.stderr)


def parts_of(rows: "Iterable[Listed]", by: By) -> dict[str, set[int]]:
    """What exchanges share -> their ids; `none` where there is nothing to share."""
    parts: dict[str, set[int]] = {}
    for row in rows:
        parts.setdefault(KEYS[by](row) or "none", set()).add(row.id)
    return parts


def named(parts: dict[str, set[int]]) -> dict[str, set[int]]:
    """The parts by names that files can have; two that would have the same one get numbers."""
    taken: set[str] = set()
    found = {}
    for shared, ids in parts.items():
        stem = UNSAFE.sub("-", shared).strip("-.")[:LONGEST] or "part"
        names = chain([stem], (f"{stem}-{number}" for number in count(2)))
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())  # some file systems do not tell cases apart
        found[name] = ids
    return found


def check_free(into: Path, files: Iterable[Path]) -> None:
    """BadInput where the folder is none, or a part exists already."""
    if into.exists() and not into.is_dir():
        raise BadInput(f"{into} is no folder: name one for the parts")
    for file in files:
        if file.exists():
            raise BadInput(f"{file} exists: remove it, or name another folder with --into")
