"""All rules, and what they find in an answer.

The law of this file: a finding says what the rule says and how it is broken, both in words of the code;
of the traffic it has the number of an event, a JSON pointer and nothing else. At most `MOST` findings of
a rule are told for one answer: the first ones show it, and the rest follow from them more often than not.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice

from harness.core.derive import Messages
from harness.core.exchange import Exchange
from harness.validate.finding import Finding, Part
from harness.validate.rules import (
    anthropic,
    chat,
    completions,
    embeddings,
    ollama,
    responses,
    transport,
)
from harness.validate.rules.rule import Fault, Rule
from harness.validate.rules.stream import Stream

RULES: tuple[Rule, ...] = (
    *transport.RULES,
    *chat.RULES,
    *completions.RULES,
    *embeddings.RULES,
    *responses.RULES,
    *anthropic.RULES,
    *ollama.RULES,
)
"""No two have the same name."""

MOST = 3


@cache
def rules_for(dialect: str, *, streamed: bool) -> tuple[Rule, ...]:
    """The rules for answers of a dialect."""
    return tuple(rule for rule in RULES if rule.fits(dialect, streamed=streamed))


def check(exchange: Exchange, answer: Messages) -> Iterator[Finding]:
    """What the rules find in the answer of an exchange; nothing where there is none. Never raises.

    A plain answer that is an error or no JSON object is no matter of rules.
    """
    if exchange.response is None:
        return
    stream = Stream(exchange, answer)
    if answer.stream or (stream.objects and answer.error is None):
        for rule in rules_for(answer.dialect, streamed=answer.stream):
            for fault in faults_of(rule, stream):
                yield _finding(rule, fault, streamed=answer.stream)


def faults_of(rule: Rule, stream: Stream) -> list[Fault]:
    """The first faults that a rule finds."""
    try:
        return list(islice(rule.find(stream), MOST))
    except RecursionError:  # JSON that is nested too deeply to be compared
        return []


def _finding(rule: Rule, fault: Fault, *, streamed: bool) -> Finding:
    own = Part.STREAM if streamed else Part.RESPONSE
    part = Part.TRANSPORT if rule.name.startswith("transport.") else own
    return Finding(
        rule.name, rule.kind, part, f"{rule.says}: {fault.what}", fault.event or None, fault.pointer
    )
