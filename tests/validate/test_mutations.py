"""Damage of every kind, done at random places to valid answers that are generated here, and found again.

Rates are printed (`pytest -s`). Damage that the protocol cannot show (a lost delta of a chat that has no
logprobs) is not done; a damaged stream of Responses is numbered anew, so that its texts must show it.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange
from harness.store.open import open_recording
from harness.validate.accelerator import IsValid, accelerator
from harness.validate.catalog import Catalog
from harness.validate.checker import Checker, Known
from harness.validate.finding import Finding, Profile, Severity
from harness.validate.shape import shape
from tests.validate.answers import SOURCES, Answer
from tests.validate.damages import DAMAGES, WARNING, Damage

TINY = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
EACH = 60
"""Answers of each source."""
TRIES = 300
"""Damaged answers of each kind of damage."""
FEW = 28
"""Those where both checkers are asked, which takes long."""


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Answer]]:
    rng = random.Random(7)
    return {name: [make(rng) for _ in range(EACH)] for name, make in SOURCES.items()}


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker(Catalog.load(), accelerated=False)


def found(checker: Checker, answer: Answer) -> list[Finding]:
    exchange = answer.exchange()
    return checker.exchange(exchange, derive(exchange))


def severities(findings: list[Finding], profile: Profile) -> list[Severity]:
    return sorted({one.severity(profile) for one in findings})


def damaged(damage: Damage, answers: dict[str, list[Answer]], tries: int) -> Iterator[Answer]:
    """So many damaged copies of answers that have a place for the damage, of all sources in turn."""
    rng, made = random.Random(8), 0
    turns = chain.from_iterable(zip(*(answers[source] for source in damage.sources), strict=True))
    for answer in cycle(turns):
        copy = replace(answer, messages=json.loads(json.dumps(answer.messages)), renamed={})
        if damage.does(rng, copy) is not False:
            yield copy
            made += 1
        if made >= tries:
            return


@pytest.mark.parametrize("profile", Profile)
def test_what_is_generated_is_clean(
    checker: Checker, answers: dict[str, list[Answer]], profile: Profile
) -> None:
    for answer in (answer for source in answers.values() for answer in source):
        told = found(checker, answer)
        assert not set(severities(told, profile)) - {Severity.IGNORED}, told


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(checker: Checker, answers: dict[str, list[Answer]], name: str) -> None:
    damage = DAMAGES[name]
    enough = {damage.severity, Severity.ERROR}
    if damage.severity is Severity.DRIFT:
        enough.add(WARNING)
    missed = [
        answer
        for answer in damaged(damage, answers, TRIES)
        if not enough & set(severities(found(checker, answer), damage.profile))
    ]
    print(f"\n{name:24} {1 - len(missed) / TRIES:7.2%} of {TRIES}", end="")
    assert len(missed) <= (1 - damage.rate) * TRIES, [one.messages for one in missed[:1]]


def schemas_of(checker: Checker, exchange: Exchange) -> Iterator[tuple[Known, Any]]:
    """Every message of an answer with its schema."""
    derived, route = derive(exchange), checker.catalog.route_for(exchange)
    if route and exchange.response and exchange.response.status < 400:
        name, dispatch = (route.event, route.dispatch) if derived.stream else (route.response, None)
        family = checker.family(name, checker.catalog.overlay_for(exchange), dispatch)
        for message in derived.values:
            if family and message is not None:
                yield family.known(message), message


def test_the_accelerator_agrees_with_jsonschema(answers: dict[str, list[Answer]]) -> None:
    few = {source: made[:FEW] for source, made in answers.items()}
    exchanges = [answer.exchange() for damage in DAMAGES.values() for answer in damaged(damage, few, FEW)]
    with open_recording(TINY) as recording:
        exchanges += recording.exchanges()
    checker, verdicts = Checker(Catalog.load(), accelerated=True), set()
    vouching: dict[int, IsValid] = {}
    seen: set[Any] = set()
    for known, message in (pair for exchange in exchanges for pair in schemas_of(checker, exchange)):
        key = (id(known), shape(message, known.words))
        if key not in seen:
            seen.add(key)
            vouches = vouching.setdefault(id(known), accelerator(known.schema, wanted=True))
            verdict = known.validator.is_valid(message)
            assert vouches(message) is verdict, (key, message)
            verdicts.add(verdict)
    assert verdicts == {True, False}


def test_findings_are_the_same_with_and_without_the_accelerator(answers: dict[str, list[Answer]]) -> None:
    few = {source: made[:FEW] for source, made in answers.items()}
    fast, slow = (Checker(Catalog.load(), accelerated=wanted) for wanted in (True, False))
    for answer in (answer for damage in DAMAGES.values() for answer in damaged(damage, few, FEW)):
        assert found(fast, answer) == found(slow, answer)


def test_what_the_accelerator_cannot_hold_is_left_to_jsonschema() -> None:
    vouches = accelerator({"properties": {"a": {"enum": [1, "x"]}}}, wanted=True)
    assert vouches({"a": "x"})
    assert not vouches({"a": "\ud800"})  # it raises UnicodeEncodeError
