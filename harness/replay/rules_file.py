"""The rules of matching beside a recording: `NAME.match.toml` for `NAME.db`."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from harness.core.errors import BadInput
from harness.core.matching.rules import MatchRules, joined, words_of

SUFFIX = ".match.toml"


def rules_beside(recordings: Iterable[Path]) -> MatchRules:
    """The rules beside some recordings as one set; the built-in ones where there are none.

    BadInput, with the line: a file is no TOML, a field or a value is unknown; or two of them disagree.
    """
    files = dict.fromkeys(path.with_name(f"{path.stem}{SUFFIX}") for path in recordings)
    return joined((str(file), rules_in(file)) for file in files if file.exists())


def rules_in(file: Path) -> MatchRules:
    """The rules of a file."""
    try:
        text = file.read_text(encoding="utf-8")
        said = tomllib.loads(text)
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(f"{file}: {error}") from None
    try:
        return MatchRules.model_validate({name.replace("_", "-"): value for name, value in said.items()})
    except ValidationError as error:
        words = words_of(error)
        rule = words.partition(":")[0].partition(".")[0]
        raise BadInput(f"{file}: line {line_of(text, rule)}: {words}") from None


def line_of(text: str, name: str) -> int:
    """The line, from 1, on which a key or table begins; the first where it is written in another way."""
    written = re.escape(name).replace("\\-", "[-_]")
    found = re.search(rf"^\s*\[?\s*[\"']?{written}[\"']?\s*(?:=|\]|\.)", text, re.MULTILINE)
    return text.count("\n", 0, found.end()) + 1 if found else 1
