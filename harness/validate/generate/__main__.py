"""Regenerates `schemas/` from the installed SDKs and what is committed: `make schemas`.

    python -m harness.validate.generate [--check] FOLDER [SCHEMA ...]

Run in an environment with another version of the SDKs, it adds what that version says.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.validate.generate.accumulate import accumulate
from harness.validate.generate.sources import SOURCES, Source, installed
from harness.validate.generate.text import text_of

MANIFEST = "manifest.json"


def main(arguments: list[str] | None = None) -> int:
    """Writes the files that change, or with --check says which would; exit code 1 where one would."""
    parser = argparse.ArgumentParser(description="Accumulate the types of the installed SDKs in schemas/.")
    parser.add_argument("folder", type=Path, help="the schemas")
    parser.add_argument("schemas", nargs="*", help="such as openai/chat.event (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file would change")
    options = parser.parse_args(arguments)
    sources = [source for source in SOURCES if not options.schemas or source.schema in options.schemas]
    changed = dict(changes(options.folder, sources))
    for path, text in changed.items():
        print(f"{path} {'would change' if options.check else 'written'}")
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if options.check and changed else 0


def changes(folder: Path, sources: Iterable[Source]) -> Iterator[tuple[Path, str]]:
    """The files of a folder that would change, each with its new text."""
    for source in sources:
        path = folder / f"{source.schema}.json"
        documents = list(source.documents())
        committed = _committed(path)
        if documents:
            yield from _change(path, accumulate(committed, documents, is_request=source.is_request))
    yield from _change(folder / MANIFEST, manifest(_committed(folder / MANIFEST) or {}, installed()))


def manifest(committed: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """The manifest: all SDK versions that the schemas were made from, and each schema's types."""
    known: Mapping[str, list[str]] = committed.get("sdks", {})
    return {
        "sdks": {
            name: sorted({*known.get(name, ()), version}, key=_number) for name, version in versions.items()
        },
        "schemas": {source.schema: list(source.types) for source in SOURCES},
    }


def _number(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _committed(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _change(path: Path, value: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    text = text_of(value)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        yield path, text


if __name__ == "__main__":
    sys.exit(main())
