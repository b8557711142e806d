"""`[tool.harness]` of the nearest pyproject.toml: where a project keeps its settings."""

import tomllib
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput

PROJECT = "pyproject.toml"


def project_file(start: Path) -> Path | None:
    """The nearest pyproject.toml with a `[tool.harness]`, from a folder upwards."""
    for folder in (start, *start.parents):
        path = folder / PROJECT
        if path.is_file() and table_of(path) is not None:
            return path
    return None


def table_of(path: Path) -> Any:
    """`[tool.harness]` of a file; None where there is none (BadInput: not TOML)."""
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from error
    return tools.get("harness") if isinstance(tools, dict) else None
