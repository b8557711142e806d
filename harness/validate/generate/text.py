"""The text of a schema file: the same value gives the same bytes, and a change shows as a small diff.

The law of this file: keys are sorted; what fits into a line stands on one.
"""

import json
from typing import Any

WIDTH = 110


def text_of(value: Any) -> str:
    """A JSON value as the text of a file."""
    return _text(value, "", 0) + "\n"


def _text(value: Any, indent: str, before: int) -> str:
    """The value as text; its first line comes after `before` characters, and one comes after its last."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(indent) + before + len(line) < WIDTH or not isinstance(value, dict | list) or not value:
        return line
    deeper = indent + " "
    if isinstance(value, list):
        return _block("[]", [deeper + _text(item, deeper, 0) for item in value], indent)
    members = [(json.dumps(key, ensure_ascii=False) + ": ", value[key]) for key in sorted(value)]
    return _block("{}", [deeper + key + _text(item, deeper, len(key)) for key, item in members], indent)


def _block(brackets: str, lines: list[str], indent: str) -> str:
    return brackets[0] + "\n" + ",\n".join(lines) + "\n" + indent + brackets[1]
