"""Exchanges and findings to report."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import Exchange, Request, Response, State
from harness.validate.finding import Finding, Kind, Part, Profile
from harness.validate.report import Report

type Findings = list[Finding]


@pytest.fixture
def call() -> Callable[..., Exchange]:
    """Make a plain exchange, or a stream where `events` are given (values are dumped, text is kept)."""

    def make(
        path: str = "/v1/chat/completions",
        *,
        host: str = "api.test",
        asked: Any = None,
        answered: Any = None,
        events: list[Any] | None = None,
        status: int = 200,
        headers: tuple[tuple[str, str], ...] = (),
        state: State = State.COMPLETE,
        id: int = 1,  # noqa: A002  as the exchange's field
    ) -> Exchange:
        request = Request("POST", f"https://{host}{path}", (), json.dumps(asked).encode() if asked else b"")
        kind = "application/json" if events is None else "text/event-stream"
        if events is None:
            body = json.dumps(answered).encode()
        else:
            datas = [event if isinstance(event, str) else json.dumps(event) for event in events]
            body = "".join(f"data: {data}\n\n" for data in datas).encode()
        response = Response(status, (("Content-Type", kind), *headers), 1, ((2, body),), 3)
        return Exchange(request, response, state, id=id, end_ns=3)

    return make


@pytest.fixture
def finding() -> Callable[..., Finding]:
    """Make a finding."""

    def make(kind: Kind = Kind.TYPE, rule: str = "schema.type", **fields: Any) -> Finding:
        return Finding(rule, kind, **({"part": Part.EVENT, "message": "null instead of string"} | fields))

    return make


@pytest.fixture
def report(call: Callable[..., Exchange], finding: Callable[..., Finding]) -> Report:
    """A report with each severity, over two endpoints; the second has no errors."""
    made = Report(Profile.COMPATIBLE)
    error = [finding(event=number, pointer=f"/choices/{number}/text") for number in (1, 2)]
    warning = finding(Kind.SOFT_RULE, "chat.constant-id", part=Part.STREAM, message="the id is constant")
    drift = finding(Kind.UNKNOWN_VALUE, "schema.unknown-value", message="none of the known values: abort")
    ignored = finding(Kind.UNKNOWN_FIELD, "schema.unknown-field", pointer="/x")
    made.add(call(id=7), [warning, ignored, *error], events=4)
    made.add(call(id=8), [error[0]], events=2)
    made.add(call("/v1/embeddings", id=9), [drift], checked=False)
    return made
