"""What is other at the client: places, and never values."""

import json

from harness.probe.blocks import Block
from harness.probe.changes import Kind, changes_of, header_changes


def block(value: object, name: str | None = None) -> Block:
    return Block(0, name, json.dumps(value).encode())


def test_fields_are_told_by_their_pointers() -> None:
    sent = block({"id": "secret", "choices": [{"delta": {"content": "a", "x": 1}}]})
    got = block({"id": "other", "choices": [{"delta": {"content": "a"}}], "created": 1})
    assert changes_of(sent, got) == [
        ("/choices/0/delta/x", Kind.LOST),
        ("/created", Kind.ADDED),
        ("/id", Kind.CHANGED),
    ]


def test_true_is_not_one() -> None:
    assert changes_of(block({"a": True}), block({"a": 1})) == [("/a", Kind.CHANGED)]


def test_the_name_of_an_event_and_data_that_is_no_json() -> None:
    assert changes_of(block({}, "ping"), block({})) == [("event", Kind.CHANGED)]
    assert changes_of(Block(0, None, b"[DONE]"), Block(0, None, b"DONE")) == [("data", Kind.CHANGED)]
    assert changes_of(Block(0, None, b"[DONE]"), Block(0, None, b"[DONE]")) == []


def test_headers_of_a_connection_are_no_change() -> None:
    sent = (("Content-Type", "text/event-stream; charset=utf-8"), ("X-Id", "1"), ("Date", "a"), ("X-A", "1"))
    got = (("content-type", "text/event-stream;charset=UTF-8"), ("x-id", "2"), ("date", "b"), ("via", "gw"))
    assert header_changes(sent, (*got, ("x-b", "1"))) == [
        ("x-a", Kind.LOST),
        ("x-b", Kind.ADDED),
        ("x-id", Kind.CHANGED),
    ]
