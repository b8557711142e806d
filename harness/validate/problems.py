"""What is wrong with a JSON value under a schema, in words of our own.

jsonschema's messages embed the value, which may be a whole prompt; these name places and types. A
value is told only where the schema expects one of a few words, and only if it looks like a word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from harness.validate.finding import Kind
from harness.validate.forms import OPENAI_ONLY

WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,48}")
KINDS = {
    "required": Kind.MISSING,
    "type": Kind.TYPE,
    "enum": Kind.UNKNOWN_VALUE,
    "minimum": Kind.VALUE,
}
TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}

type Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One difference between a value and its schema; `path` leads to it."""

    kind: Kind
    path: Path
    message: str

    @property
    def pointer(self) -> str:
        """The path as a JSON pointer (RFC 6901)."""
        return "".join(f"/{escaped(part)}" for part in self.path)

    def told(self, instance: Any) -> str:
        """The message, with the value of this very instance where it is a word."""
        if self.kind is not Kind.UNKNOWN_VALUE:
            return self.message
        value = value_at(instance, self.path)
        return (
            f"{self.message}: {value}" if isinstance(value, str) and WORD.fullmatch(value) else self.message
        )


def escaped(part: str | int) -> str:
    """One step of a JSON pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def value_at(instance: Any, path: Path) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        try:
            instance = instance[part]
        except (KeyError, IndexError, TypeError):
            return None
    return instance


def type_of(value: Any) -> str:
    """JSON's name for the type of a value."""
    return TYPES.get(type(value), "value")


def problems(validator: Draft202012Validator, instance: Any, openai: bool) -> Iterator[Problem]:
    """All problems of an instance. `openai`: what is always present at OpenAI must be present.

    Schemas have no unions (`harness.validate.forms`), so every error belongs to what was meant. A value
    of the wrong type is none of the known values either, which is not told.
    """
    found = {
        (one.path, one.message): one
        for error in validator.iter_errors(instance)
        for one in problems_of(error, openai)
    }
    wrong = {one.path for one in found.values() if one.kind is Kind.TYPE}
    seen: set[Path] = set()
    for one in found.values():
        if one.path not in wrong:
            yield one
        elif one.kind is Kind.TYPE and one.path not in seen:
            seen.add(one.path)
            yield one


def problems_of(error: ValidationError, openai: bool) -> Iterator[Problem]:
    """One error of jsonschema as problems. `required` gives one error for each missing member."""
    path = tuple(error.absolute_path)
    kind = KINDS.get(str(error.validator), Kind.VALUE)
    if kind is Kind.MISSING:
        member = missing_member(error)
        schema = error.schema if isinstance(error.schema, dict) else {}
        only = not openai and member in schema.get(OPENAI_ONLY, ())
        yield Problem(Kind.OPENAI_ONLY if only else kind, (*path, member), "required, but absent")
    elif kind is Kind.TYPE:
        wanted: Any = error.validator_value
        names = wanted if isinstance(wanted, str) else " or ".join(wanted)
        yield Problem(kind, path, f"{type_of(error.instance)} instead of {names}")
    elif kind is Kind.UNKNOWN_VALUE:
        yield Problem(*unknown_value(error, path))
    else:
        yield Problem(kind, path, f"breaks {error.validator} {error.validator_value!s:.40}")


def unknown_value(error: ValidationError, path: Path) -> tuple[Kind, Path, str]:
    """A value that is none of the known ones; one of another type than all of them is a wrong type."""
    wanted: Any = error.validator_value
    names = {type_of(value) for value in wanted}
    if type_of(error.instance) not in names:
        return Kind.TYPE, path, f"{type_of(error.instance)} instead of {' or '.join(sorted(names))}"
    return Kind.UNKNOWN_VALUE, path, "none of the known values"


def missing_member(error: ValidationError) -> str:
    """The member that an error of `required` is about, which jsonschema only says in its message."""
    required: Any = error.validator_value
    return next(str(name) for name in required if error.message.startswith(f"{name!r} is"))
