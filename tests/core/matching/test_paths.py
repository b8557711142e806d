"""Paths of fields: how they are written, and what is left out by them."""

import pytest

from harness.core.canonical import Json
from harness.core.matching.paths import Drop, Path, label_of, parse_path, without

PATHS = {
    "/user": ("body", "user"),
    "body/user": ("body", "user"),
    "body": ("body",),
    "/messages/0/content": ("body", "messages", "0", "content"),
    "/a~1b/c~0d": ("body", "a/b", "c~d"),
    "/**/cache_control": ("body", "**", "cache_control"),
    "$.user": ("body", "user"),
    "$.messages[0].content": ("body", "messages", "0", "content"),
    "$.messages[*].tool_calls.*": ("body", "messages", "*", "tool_calls", "*"),
    "$['a.b'][\"c d\"]": ("body", "a.b", "c d"),
    "$..name": ("body", "**", "name"),
    "query.api-version": ("query", "api-version"),
    "query.a.b": ("query", "a.b"),
    "form.prompt": ("form", "prompt"),
    "part.file": ("part", "file"),
    "part.meta/id": ("part", "meta", "id"),
}


@pytest.mark.parametrize(("text", "path"), PATHS.items())
def test_paths_are_read_as_pointers_json_paths_and_names(text: str, path: Path) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "user",
        "metadata.id",
        "/",
        "$",
        "$.",
        "$.a[?(@.b)]",
        "$.a[0:2]",
        "/a/**",
        "query.",
        "x/y",
        ".",
        "/~2",
        "/a~",
    ],
)
def test_what_is_no_path_is_told_with_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*' (is no (JSON )?(path|pointer)|names no field)"):
        parse_path(text)


BODY: Json = {"body": {"a": 1, "list": [{"id": "x", "n": 1}, {"id": "y", "n": 2}], "deep": {"a": {"id": 3}}}}
LEFT: list[tuple[list[str], Json]] = [
    ([], BODY),
    (["/none"], BODY),
    (["/a"], {"body": {"list": [{"id": "x", "n": 1}, {"id": "y", "n": 2}], "deep": {"a": {"id": 3}}}}),
    (["/list/*/id"], {"body": {"a": 1, "list": [{"n": 1}, {"n": 2}], "deep": {"a": {"id": 3}}}}),
    (["/list/0"], {"body": {"a": 1, "list": [None, {"id": "y", "n": 2}], "deep": {"a": {"id": 3}}}}),
    (["/**/id"], {"body": {"a": 1, "list": [{"n": 1}, {"n": 2}], "deep": {"a": {}}}}),
    (["/*"], {"body": {}}),
    (["/a", "/list", "/deep/a/id"], {"body": {"deep": {"a": {}}}}),
    (["body"], {}),
]


@pytest.mark.parametrize(("paths", "left"), LEFT)
def test_what_is_dropped_is_gone_and_all_else_stays(paths: list[str], left: Json) -> None:
    before = str(BODY)
    assert without(BODY, tuple(Drop(parse_path(path)) for path in paths)) == left
    assert str(BODY) == before


def test_a_default_is_dropped_only_where_it_is_equal_in_value_and_kind() -> None:
    drop = (Drop(("a",), 1),)
    assert without({"a": 1}, drop) == {}
    others: list[Json] = [True, "1", 2, None, [1]]
    for other in others:
        assert without({"a": other}, drop) == {"a": other}
    assert without({"a": {"type": "text"}}, (Drop(("a",), {"type": "text"}),)) == {}


def test_what_stays_keeps_its_order() -> None:
    value: Json = {"c": 1, "a": {"x": 1, "y": 2}, "b": 3}
    left = without(value, (Drop(("a", "x")), Drop(("c",))))
    assert isinstance(left, dict)
    assert list(left) == ["a", "b"]


@pytest.mark.parametrize(
    ("pointer", "label"),
    [("/method", "method"), ("/query/a", "query.a"), ("/body", "body"), ("/body/a/0", "body/a/0")],
)
def test_labels_are_what_a_miss_says_and_a_rule_takes(pointer: str, label: str) -> None:
    assert label_of(pointer) == label
    if label != "method":
        assert parse_path(label) == tuple(pointer[1:].split("/"))
