"""Overlays: small hand-written rules that fit a schema to what one vendor is known to send.

The law of this file: a rule names a place in messages, not in a schema's text, so it stays right when
schemas are made anew; a place that is not there is an error. Rules change a copy.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from harness.validate.forms import OPENAI_ONLY, Choice, Schema, choice, conditionals, faults, target


class Rule(BaseModel):
    """What holds at one place of some schemas.

    `at` is a path from the message: names of members, `*` for the elements of an array, `type=x` for
    the alternative whose `type` is `x`, `type=` for the one without, `type=*` for all that have one; empty
    for the message itself. Then, of the
    object at that place: `require` members, let them be absent (`optional`), require those that OpenAI
    alone always sends (`openai_only`), say what a member is (`members`: name -> schema), `allow` more JSON
    types for a member, or more strings (`values`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schemas: tuple[str, ...]
    at: str = ""
    require: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    openai_only: tuple[str, ...] = ()
    members: Mapping[str, Schema] = Field(default_factory=dict)
    allow: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("members")
    @classmethod
    def _sound(cls, members: Mapping[str, Schema]) -> Mapping[str, Schema]:
        for name, schema in members.items():
            if found := next(faults(schema), None):
                raise ValueError(f"'{name}': {found}")
        return members


class Overlay(BaseModel):
    """The rules of one vendor, after those of the overlays that it `extends`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    extends: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


def apply(document: Schema, rule: Rule) -> None:
    """Changes a schema document as a rule says. LookupError names a place that is not there."""
    places = {id(place): place for place in _places(document, rule.at)}  # a definition may be reached twice
    if not places:
        raise LookupError(f"nothing is at '{rule.at}'")
    for place in places.values():
        for name, change in CHANGES.items():
            change(place, getattr(rule, name))


def _places(document: Schema, at: str) -> Iterator[Schema]:
    found: list[Schema] = [document]
    for step in at.split("/") if at else ():
        found = [inner for schema in found for inner in _inside(document, schema, step)]
    for schema in found:
        yield from _objects(document, schema)


def _inside(document: Schema, schema: Schema, step: str) -> Iterator[Schema]:
    member, chosen, value = step.partition("=")
    if step == "*":
        own = target(document, schema)
        yield from [own["items"]] if "items" in own else []
        return
    for described in _objects(document, schema):
        alternatives = choice(described) if chosen else None
        if alternatives and alternatives.member == member:
            yield from _chosen(alternatives, value)
        elif step in described.get("properties", {}):
            yield described["properties"][step]


def _chosen(alternatives: Choice, value: str) -> Iterator[Schema]:
    if not value and alternatives.absent is not None:
        yield alternatives.absent
    yield from (schema for known, schema in alternatives.branches.items() if value in ("*", known))


def _objects(document: Schema, schema: Schema) -> Iterator[Schema]:
    """The schemas of an object at some place; where other types are allowed too, its definition alone."""
    own = target(document, schema)
    inner = [then for condition, then in conditionals(own) if condition == {"type": "object"}]
    if not inner:
        yield own
    for then in inner:
        yield from _objects(document, then)


def _require(place: Schema, names: tuple[str, ...]) -> None:
    _set_names(place, "required", {*place.get("required", ()), *names})


def _make_optional(place: Schema, names: tuple[str, ...]) -> None:
    for keyword in ("required", OPENAI_ONLY):
        _set_names(place, keyword, {*place.get(keyword, ())} - {*names})


def _require_of_openai(place: Schema, names: tuple[str, ...]) -> None:
    _require(place, names)
    _set_names(place, OPENAI_ONLY, {*place.get(OPENAI_ONLY, ()), *names})


def _set_names(place: Schema, keyword: str, names: set[str]) -> None:
    if names:
        place[keyword] = sorted(names)
    else:
        place.pop(keyword, None)


def _say(place: Schema, members: Mapping[str, Schema]) -> None:
    if members:
        place["properties"] = {**place.get("properties", {}), **members}


def _allow_types(place: Schema, types: Mapping[str, tuple[str, ...]]) -> None:
    for name, added in types.items():
        member = _member(place, name)
        if "$ref" in member:
            member |= {"if": {"type": "object"}, "then": {"$ref": member.pop("$ref")}, "type": "object"}
        known = member.get("type", [])
        member["type"] = sorted({*([known] if isinstance(known, str) else known), *added})
        if "null" in added and "enum" in member:
            member["enum"] = [*(value for value in member["enum"] if value is not None), None]


def _allow_values(place: Schema, values: Mapping[str, tuple[str, ...]]) -> None:
    for name, added in values.items():
        member = _member(place, name)
        if "enum" in member:  # else any value is allowed
            member["enum"] = [*added, *(value for value in member["enum"] if value not in added)]


def _member(place: Schema, name: str) -> Schema:
    member: Schema | None = place.get("properties", {}).get(name)
    if member is None:
        raise LookupError(f"there is no member '{name}'")
    return member


CHANGES: Mapping[str, Callable[[Schema, Any], None]] = {
    "members": _say,
    "allow": _allow_types,
    "values": _allow_values,
    "require": _require,
    "optional": _make_optional,
    "openai_only": _require_of_openai,
}
"""Field of a rule -> what it does to an object's schema."""
