"""The generator: joins, what is read and written, accumulation, and the committed schemas themselves."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter

from harness.validate.forms import fault
from harness.validate.generate.__main__ import main, manifest
from harness.validate.generate.accumulate import accumulate
from harness.validate.generate.node import ANYTHING, NULL, Node, Shape, compound, join
from harness.validate.generate.text import WIDTH, text_of

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def node(*types: str, **fields: Any) -> Node:
    return Node(frozenset(types), **fields)


def words(*values: str) -> Node:
    return node("string", values=frozenset(values))


def ref(*names: str) -> Node:
    return node("object", refs=frozenset(names))


def obj(required: str = "", rest: Node | None = None, **members: Node) -> Node:
    return node("object", shape=Shape(members, frozenset(required.split()), rest))


NUMBER, INTEGER, STRING, OBJECT = node("number"), node("integer"), node("string"), node("object")
COUNT = node("integer", minimum=0)


def array(items: Node | None) -> Node:
    return node("array", items=items)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (STRING, NULL, node("null", "string")),
        (STRING, ANYTHING, ANYTHING),
        (INTEGER, NUMBER, NUMBER),
        (words("a"), words("b"), words("a", "b")),
        (words("a"), STRING, STRING),
        (words("a"), NULL, node("null", "string", values=frozenset("a"))),
        (words("a"), INTEGER, node("integer", "string", values=frozenset("a"))),
        (COUNT, COUNT, COUNT),
        (COUNT, INTEGER, INTEGER),
        (COUNT, NULL, node("integer", "null", minimum=0)),
        (array(STRING), array(INTEGER), array(node("integer", "string"))),
        (array(STRING), array(None), array(None)),
        (array(STRING), array(ANYTHING), array(None)),
        (array(STRING), STRING, node("array", "string", items=STRING)),
        (ref("A"), ref("B"), ref("A", "B")),
        (ref("A"), NULL, node("null", "object", refs=frozenset("A"))),
        (ref("A"), OBJECT, OBJECT),
        (ref("A"), obj(a=STRING), OBJECT),
        (
            obj("a b", a=STRING, b=STRING),
            obj("b", b=NULL, c=NULL),
            obj("b", a=STRING, b=node("null", "string"), c=NULL),
        ),
        (obj(rest=STRING), obj(rest=NULL), obj(rest=node("null", "string"))),
        (obj(rest=STRING), obj(a=STRING), obj(rest=ANYTHING, a=STRING)),
    ],
)
def test_a_join_allows_what_either_allows(one: Node, other: Node, expected: Node) -> None:
    assert join([one, other]) == expected
    assert join([other, one]) == expected


def test_joins_may_come_in_any_order_and_twice() -> None:
    some = [
        *(STRING, NULL, words("a"), words("b"), INTEGER, NUMBER, COUNT, ANYTHING, OBJECT),
        *(ref("A"), ref("B"), obj("a", a=STRING), obj("a", a=COUNT, b=NULL), obj(rest=STRING)),
        *(array(None), array(words("a")), array(COUNT)),
    ]
    for one, two, three in product(some, repeat=3):
        assert join([one, one]) == one
        assert join([one, two]) == join([two, one])
        assert join([join([one, two]), three]) == join([one, join([two, three])])


def test_the_name_of_a_join_is_that_of_its_parts_in_any_order() -> None:
    assert compound(["B", "A"]) == compound(["A+B"]) == compound(["B", "A+B"]) == "A+B"


class Text(BaseModel, extra="allow"):
    """Prose, which is not to be taken over."""

    type: Literal["text"]
    text: str
    number: int | None = None


class Image(BaseModel, extra="allow"):
    type: Literal["image"]
    url: str
    flag: Literal[True]


class Easy(BaseModel):
    role: Literal["user"]
    type: Literal["text"] | None = None


class Message(BaseModel):
    parts: list[Text | Image] | str
    usage_tokens: int
    owner: Text | None = None


class Query(TypedDict):
    model: str | Literal["one", "two"]
    stream: NotRequired[Literal[False]]
    part: NotRequired[Text]
    max_tokens: NotRequired[int]


def schema_of(
    kind: Any, committed: dict[str, Any] | None = None, *, is_request: bool = False
) -> dict[str, Any]:
    return accumulate(committed, [TypeAdapter(kind).json_schema()], is_request=is_request)


def passes(schema: dict[str, Any], value: object) -> bool:
    assert fault(schema) is None
    return Draft202012Validator(schema).is_valid(value)


def test_a_type_becomes_facts_without_prose() -> None:
    assert schema_of(Text)["$defs"]["Text"] == {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": ["text"]},
            "text": {"type": "string"},
            "number": {"type": ["integer", "null"]},
        },
        "required": ["text", "type"],
    }


TEXT = {"type": "text", "text": "t"}


@pytest.mark.parametrize(
    ("kind", "value", "fine"),
    [
        (Text | Image, TEXT, True),
        (Text | Image, {"type": "text"}, False),
        (Text | Image, {"type": "image", "url": "u", "flag": False}, True),
        (Text | Image, {"type": "image", "url": "u", "flag": 1}, False),
        (Text | Image, {"type": "sound"}, False),
        (Text | Image, {}, False),
        (Text | Image, "text", False),
        (Text | Image | str | None, "text", True),
        (Text | Image | str | None, None, True),
        (Text | Image | str | None, {"type": "text"}, False),
        (Text | Easy, TEXT, True),
        (Text | Easy, {"type": "text"}, True),
        (Text | Easy, {"role": "user"}, True),
        (Text | Easy, {"role": "robot"}, False),
        (Image | Easy, {"role": "user"}, True),
        (Image | Easy, {}, False),
        (Image | Easy, {"type": "image"}, False),
        (Literal["all"] | Text, "all", True),
        (Literal["all"] | Text, "some", False),
        (Literal["all"] | Text, TEXT, True),
        (Literal["all"] | Text, {"type": "text"}, False),
        (Literal["all"] | str, "some", True),
        (Text | dict[str, object], {}, True),
        (dict[str, int], {"a": "b"}, False),
        (Message, {"parts": "p", "usage_tokens": 1}, True),
        (Message, {"parts": [TEXT], "usage_tokens": 0, "owner": None}, True),
        (Message, {"parts": [{"type": "text"}], "usage_tokens": 0}, False),
        (Message, {"parts": "p", "usage_tokens": -1}, False),
        (Message, {"parts": "p", "usage_tokens": True}, False),
        (Message, {"parts": "p", "usage_tokens": 1, "owner": {}}, False),
    ],
)
def test_a_union_is_told_apart_by_type_or_by_a_member(kind: Any, value: object, fine: bool) -> None:
    assert passes(schema_of(kind), value) is fine


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ({"model": "three"}, True),
        ({"model": "one", "stream": None, "part": None, "max_tokens": None}, True),
        ({"model": "one", "stream": True, "max_tokens": -1}, True),
        ({"model": None}, False),
        ({"model": "one", "stream": "true"}, False),
        ({"model": "one", "part": TEXT | {"number": None}}, True),
    ],
)
def test_a_request_may_say_null_for_what_it_may_leave_out(value: object, fine: bool) -> None:
    assert passes(schema_of(Query, is_request=True), value) is fine


def document(**definitions: dict[str, Any]) -> dict[str, Any]:
    """pydantic's schema of the first definition, an object of these members; `!` marks what it requires."""
    made = {
        name: {
            "type": "object",
            "title": name,
            "properties": {member.rstrip("_"): schema for member, schema in members.items()},
            "required": [member.rstrip("_") for member in members if not member.endswith("_")],
        }
        for name, members in definitions.items()
    }
    return {"$ref": f"#/$defs/{next(iter(made))}", "$defs": made}


def enum(*values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)}


TEXTUAL, WHOLE, EMPTY = {"type": "string"}, {"type": "integer"}, {"type": "null"}
TO_B, TO_C = {"$ref": "#/$defs/B"}, {"$ref": "#/$defs/C"}


@dataclass(frozen=True)
class Case:
    """What is committed, what a version says, and which values of `A` then pass or do not."""

    committed: dict[str, Any]
    version: dict[str, Any]
    passing: tuple[Mapping[str, object], ...]
    failing: tuple[Mapping[str, object], ...] = ()


CASES = {
    "a new member is optional even where the version requires it": Case(
        document(A={"a": TEXTUAL}),
        document(A={"a": TEXTUAL, "b": TEXTUAL}),
        ({"a": "x"}, {"a": "x", "b": "y"}),
        ({"b": "y"}, {"a": "x", "b": 1}),
    ),
    "a member that a version dropped is kept, and optional": Case(
        document(A={"a": TEXTUAL, "b": TEXTUAL}),
        document(A={"a": TEXTUAL}),
        ({"a": "x"}, {"a": "x", "b": "y"}),
        ({"a": "x", "b": 1},),
    ),
    "what became optional is": Case(
        document(A={"a": TEXTUAL}), document(A={"a_": TEXTUAL}), ({}, {"a": "x"}), ({"a": 1},)
    ),
    "what became required is not": Case(document(A={"a_": TEXTUAL}), document(A={"a": TEXTUAL}), ({},)),
    "types are added": Case(
        document(A={"a": TEXTUAL}),
        document(A={"a": {"anyOf": [WHOLE, EMPTY]}}),
        ({"a": "x"}, {"a": 1}, {"a": None}),
        ({"a": []},),
    ),
    "values are added": Case(
        document(A={"a": enum("x")}), document(A={"a": enum("y")}), ({"a": "x"}, {"a": "y"}), ({"a": "z"},)
    ),
    "an open value stays open": Case(document(A={"a": TEXTUAL}), document(A={"a": enum("y")}), ({"a": "z"},)),
    "a value that became open is": Case(
        document(A={"a": enum("y")}), document(A={"a": TEXTUAL}), ({"a": "z"},)
    ),
    "an alternative is added, with what it requires": Case(
        document(A={"a": TO_B}, B={"type": enum("b")}),
        document(A={"a": {"anyOf": [TO_B, TO_C]}}, B={"type": enum("b")}, C={"type": enum("c"), "n": WHOLE}),
        ({"a": {"type": "b"}}, {"a": {"type": "c", "n": 1}}),
        ({"a": {"type": "c"}}, {"a": {"type": "d"}}, {"a": {}}),
    ),
    "a definition that was renamed is still one": Case(
        document(A={"a": TO_B}, B={"x": TEXTUAL, "y": TEXTUAL}),
        document(A={"a": TO_C}, C={"x": TEXTUAL, "z": TEXTUAL}),
        ({"a": {"x": "1"}}, {"a": {"x": "1", "y": "2", "z": "3"}}),
        ({"a": {"y": "2"}}, {"a": {"x": 1}}, {"a": {"x": "1", "z": 3}}),
    ),
    "what may be anything stays so": Case(document(A={"a": {}}), document(A={"a": TEXTUAL}), ({"a": 1},)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_accumulating(case: Case) -> None:
    committed = accumulate(None, [case.committed], is_request=False)
    found = accumulate(committed, [case.version], is_request=False)
    assert [passes(found, value) for value in case.passing] == [True] * len(case.passing)
    assert [passes(found, value) for value in case.failing] == [False] * len(case.failing)
    assert accumulate(found, [case.version], is_request=False) == found
    assert accumulate(found, [case.committed], is_request=False) == found
    assert accumulate(None, [case.version, case.committed], is_request=False) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a": [true, null], "b": 1}\n'),
        ({"a": "x" * WIDTH, "b": []}, '{\n "a": "' + "x" * WIDTH + '",\n "b": []\n}\n'),
        (["x" * 60, {"é": "y" * 60}], '[\n "' + "x" * 60 + '",\n {"é": "' + "y" * 60 + '"}\n]\n'),
    ],
)
def test_the_text_of_a_value(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("path", sorted(SCHEMAS.rglob("*.json")), ids=lambda path: path.stem)
def test_every_committed_file_is_in_the_generators_format(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == text_of(json.loads(text))


def test_the_manifest_gathers_versions() -> None:
    committed = {"sdks": {"openai": ["1.66.0", "1.109.1"], "anthropic": ["0.60.0"]}}
    found = manifest(committed, {"openai": "1.70.0", "anthropic": "0.60.0"})
    assert found["sdks"] == {"openai": ["1.66.0", "1.70.0", "1.109.1"], "anthropic": ["0.60.0"]}


def test_regenerating_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(SCHEMAS)]) == 0
    assert capsys.readouterr().out == ""


def test_what_is_lost_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(SCHEMAS, tmp_path / "schemas")
    name = "openai/moderations.response"
    path = folder / f"{name}.json"
    committed = path.read_text()
    damaged = json.loads(committed)
    damaged["$defs"]["Moderation"]["properties"].pop("flagged")
    damaged["$defs"]["Moderation"]["required"].remove("flagged")
    path.write_text(text_of(damaged))
    assert main(["--check", str(folder), name]) == 1
    assert capsys.readouterr().out == f"{path} would change\n"
    assert main([str(folder), name]) == 0
    assert capsys.readouterr().out == f"{path} written\n"
    healed = json.loads(path.read_text())
    assert healed["$defs"]["Moderation"]["required"] == damaged["$defs"]["Moderation"]["required"]
    healed["$defs"]["Moderation"]["required"] = json.loads(committed)["$defs"]["Moderation"]["required"]
    assert text_of(healed) == committed
