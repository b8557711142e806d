"""No false match: requests that differ in more than a preset declares have different keys.

`HARNESS_TRAFFIC` names a file of real interactions (JSON Lines with `method`, `url`, `request_headers`,
`request_body`) that the pairs are drawn from; recordings/tiny-llama.db is always looked at.
"""

import base64
import json
import os
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from harness.core.canonical import canonical_query
from harness.core.exchange import Exchange, Request
from harness.core.matching.matcher import Matching
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Preset
from harness.core.miss import Miss
from harness.core.redaction import Redactor, Rules
from harness.replay.match import Library
from harness.store.open import open_recording

TINY = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
PAIRS = 1000
DECLARED = (("stream", False), ("n", 1), ("text", {"format": {"type": "text"}}))
"""Defaults that real requests give; `strict` tells them from absence."""


def traffic() -> list[Request]:
    """The real requests that the environment names."""
    named = os.environ.get("HARNESS_TRAFFIC")
    if not named:
        pytest.skip("HARNESS_TRAFFIC names no file of real interactions")
    return list(map(request_of, map(json.loads, Path(named).read_text("utf-8").splitlines())))


def request_of(said: dict[str, Any]) -> Request:
    headers = tuple((name, value) for name, values in said["request_headers"].items() for value in values)
    body = said["request_body"] or ""
    encoded = body.startswith("base64:")
    data = base64.b64decode(body.removeprefix("base64:")) if encoded else body.encode()
    return Redactor(Rules.default()).request(Request(said["method"], said["url"], headers, data))


def plainly(request: Request, preset: Preset) -> object:
    """What a request says, found without any of the code under test: parsed JSON as Python compares it."""
    path, _, query = request.path.partition("?")
    try:
        body = json.loads(request.body)
    except ValueError:
        boundary = request.body.partition(b"\r\n")[0]
        body = request.body.replace(boundary, b"--") if boundary.startswith(b"--") else request.body
    if isinstance(body, dict) and preset is not Preset.STRICT:
        body = {name: value for name, value in body.items() if (name, value) not in DECLARED}
    return request.method, path, canonical_query(query), body


def distinct(requests: list[Request], preset: Preset) -> list[Request]:
    kept: list[Request] = []
    said: list[object] = []
    for request in requests:
        if (one := plainly(request, preset)) not in said:
            kept.append(request)
            said.append(one)
    return kept


def recorded() -> list[Request]:
    with open_recording(TINY) as recording:
        return [exchange.request for exchange in recording.exchanges()]


def false_matches(requests: list[Request], preset: Preset, count: int) -> Iterator[tuple[Request, Request]]:
    matching = Matching(MatchRules(preset=preset))
    keys = {id(request): matching.subject(request).key for request in requests}
    pairs = list(combinations(requests, 2))
    for one, other in random.Random(1).sample(pairs, min(count, len(pairs))):
        if keys[id(one)] == keys[id(other)]:
            yield one, other


@pytest.mark.parametrize("preset", Preset)
def test_different_real_requests_never_match(preset: Preset) -> None:
    requests = distinct(traffic(), preset)
    assert len(requests) * (len(requests) - 1) // 2 >= PAIRS
    assert list(false_matches(requests, preset, PAIRS)) == []
    assert list(false_matches(requests, preset, 10**6)) == []


@pytest.mark.parametrize("preset", Preset)
def test_different_recorded_requests_never_match(preset: Preset) -> None:
    requests = distinct(recorded(), preset)
    assert len(requests) > 20
    assert list(false_matches(requests, preset, 10**6)) == []


def test_a_library_of_half_of_the_real_requests_misses_the_other_half() -> None:
    requests = distinct(traffic(), Preset.STRICT)
    library: Library[None] = Library(Rules.default(), matching=Matching(MatchRules(preset=Preset.STRICT)))
    for number, request in enumerate(requests[::2], start=1):
        library.add(str(number), Exchange(request, None), None)
    for request in requests[1::2]:
        found = library.find(request)
        assert isinstance(found, Miss)
        assert len(found.near) == 3
    for number, request in enumerate(requests[::2], start=1):
        found = library.find(request)
        assert not isinstance(found, Miss)
        assert found.label == str(number)
