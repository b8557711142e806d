"""Where the recording of a test lies: `recordings/MODULE/TEST.db` beside the test file, or a `.jsonl`.

It looks at names of files, never into them.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = "recordings"
SUFFIXES = (".db", ".jsonl")
UNFIT = re.compile(r"[^\w.\[\]+=,-]+")
LONGEST = 120
"""Characters of a name; file systems take 255 bytes, and SQLite adds to it."""


def root_of(test_file: Path, project: Path, configured: str) -> Path:
    """The folder of all recordings of a test file's folder: beside it, or as deep in a configured one.

    >>> root_of(Path("/p/tests/api/test_a.py"), Path("/p"), "recorded").as_posix()
    '/p/recorded/tests/api'
    """
    if not configured:
        return test_file.parent / ROOT
    inside = test_file.is_relative_to(project)
    return project / configured / (test_file.parent.relative_to(project) if inside else "")


def orphans(folders: Iterable[Path]) -> set[Path]:
    """The folders beside these whose test modules are gone."""
    roots = {folder.parent for folder in folders if folder.parent.is_dir()}
    return {one for root in roots for one in root.iterdir() if one.is_dir() and is_orphan(one)}


def is_orphan(folder: Path) -> bool:
    """Whether there is no test module to a folder of recordings."""
    return not (folder.parent.parent / f"{folder.name}.py").exists()


def file_name(name: str) -> str:
    """The name of a test as a file name; what is shortened keeps a digest of the whole.

    >>> file_name("TestChat.test_model[openai/gpt-4o]")
    'TestChat.test_model[openai-gpt-4o]'
    """
    fit = UNFIT.sub("-", name)
    if len(fit) <= LONGEST:
        return fit
    return f"{fit[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def recording_in(folder: Path, name: str) -> Path:
    """The recording of a test: a `.jsonl` where only that is there, else a `.db`, as it is recorded."""
    lines = folder / f"{name}.jsonl"
    path = folder / f"{name}.db"
    return lines if lines.exists() and not path.exists() else path
