import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.json_path import DEEPEST, parse_path, places, pointer, selects

BODY = {"a": [{"b": "x", "c c": 1}, {"b": -2.5e3}], "d": {"a": "y", "e": [["z"]]}}


def chosen(path: str, body: object = BODY) -> list[str]:
    data = json.dumps(body).encode()
    steps = parse_path(path)
    return [data[at.start : at.end].decode() for at in places(data) if selects(steps, at.path)]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.a[0].b", ["x"]),
        ("a[0].b", ["x"]),
        ("$.a[*].b", ["x", "-2500.0"]),
        ("$.a[*]['c c']", ["1"]),
        ('$.a[*]["c c"]', ["1"]),
        ("$.a", ["x", "1", "-2500.0"]),
        ("$..a", ["x", "1", "-2500.0", "y"]),
        ("$..b", ["x", "-2500.0"]),
        ("$.d.*", ["y", "z"]),
        ("$.d..[0]", ["z"]),
        ("$[*]", ["x", "1", "-2500.0", "y", "z"]),
        ("$.a[2].b", []),
        ("$.b", []),
    ],
)
def test_what_a_path_selects(path: str, found: list[str]) -> None:
    assert chosen(path) == found


@pytest.mark.parametrize(
    "path", ["", "$", "$.", "a.", "a..", "a[", "a[x]", "a[1", "a]b", "a b", "a['']", "[-1]"]
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="no JSON path"):
        parse_path(path)


def test_every_event_of_a_stream_is_a_text_of_its_own() -> None:
    data = b'data: {"a":["x"]}\n\ndata: {"a":["cut"\n\ndata: {"a":["y",{"b":"z"}]}\n\n'
    assert [(at.path, data[at.start : at.end]) for at in places(data)] == [
        (("a", 0), b"x"),
        (("a", 0), b"cut"),
        (("a", 0), b"y"),
        (("a", 1, "b"), b"z"),
    ]


def test_names_are_read_as_json_has_them_and_listed_on_request() -> None:
    data = rb'{"\u0061\"":{"b":1}}'
    assert [at.path for at in places(data)] == [('a"', "b")]
    assert [at.path for at in places(data, names=True)] == [('a"',), ('a"', "b"), ('a"', "b")]


def test_a_deep_body_takes_linear_time() -> None:
    data = b'{"a":[' * 50_000 + b'"x"'
    (place,) = places(data)
    assert len(place.path) == DEEPEST


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    for place in places(data, names=True):
        assert 0 <= place.start <= place.end <= len(data)
        pointer(place.path)


values = st.recursive(
    st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_places_are_those_of_the_parsed_value(value: object) -> None:
    data = json.dumps([value]).encode()
    for place in places(data):
        found: object = [value]
        for key in place.path:
            found = found[key]  # type: ignore[index]
        text = data[place.start : place.end].decode()
        assert found == (json.loads(f'"{text}"') if place.is_text else json.loads(text))
