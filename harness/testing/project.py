"""The rules of matching that a project declares for `harness replay`, for its tests as well."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.core.errors import BadInput
from harness.core.matching.rules import MatchRules, default_in, words_of
from harness.project import project_file, table_of

NAMES = ("match_on", "ignore", "normalise", "default", "preset", "fuzzy")
"""The options of `harness replay` that are rules."""


def rules_in_project(start: Path) -> dict[str, Any]:
    """The rules in `[tool.harness.replay]` of the nearest pyproject.toml, as the marker names them.

    BadInput: a rule is none. What else the table says is for the command alone.
    """
    path = project_file(start)
    table = table_of(path) if path else None
    said = table.get("replay") if isinstance(table, dict) else None
    if not isinstance(said, dict):
        return {}
    named = {name.replace("-", "_"): value for name, value in said.items()}
    rules = {name: named[name] for name in NAMES if name in named}
    if "default" in rules:
        rules["defaults"] = dict(map(default_in, listed(rules.pop("default"), path)))
    try:
        MatchRules.model_validate(rules)
    except ValidationError as error:
        raise BadInput(f"{path}: [tool.harness.replay] {words_of(error)}") from None
    return rules


def listed(value: object, path: Path | None) -> list[str]:
    """The values of `default`; BadInput for anything but a list of texts."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise BadInput(f'{path}: [tool.harness.replay] default: should be a list, such as ["/temperature=1"]')
