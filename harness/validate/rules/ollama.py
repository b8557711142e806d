"""Rules for Ollama's own API, whose lines end with one that is `done`; a plain answer is that line alone.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from collections.abc import Iterator
from datetime import datetime

from harness.core.dialects.fields import text_in
from harness.core.dialects.ollama import CHAT, GENERATE
from harness.validate.finding import Kind
from harness.validate.rules.counts import Counts, negative_rule
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.sequence import changes, once_and_last
from harness.validate.rules.stream import Numbered, Stream

BOTH = (CHAT.name, GENERATE.name)


def done_lines(stream: Stream) -> list[Numbered]:
    """The lines that say the answer is done."""
    return [(number, value) for number, value in stream.objects if value.get("done") is True]


def one_done(stream: Stream) -> Iterator[Fault]:
    """Of a plain answer too."""
    found = [number for number, _ in stream.once(done_lines)]
    return once_and_last(found, stream.objects[-1][0] if stream.objects else 0, ended=stream.ended)


def constant_model(stream: Stream) -> Iterator[Fault]:
    """One model answers."""
    return changes(stream.objects, "model")


def done_reason(stream: Stream) -> Iterator[Fault]:
    """Older servers leave it out."""
    for number, value in stream.once(done_lines):
        if not value.get("done_reason"):
            yield Fault(number, "/done_reason", "there is none")


def created_order(stream: Stream) -> Iterator[Fault]:
    """Told by clocks, which can be set back."""
    before = None
    for number, value in stream.objects:
        moment = _moment(text_in(value, "created_at"))
        if moment and before and moment < before:
            yield Fault(number, "/created_at", "this is earlier than the one before")
        before = moment or before


def _moment(text: str) -> datetime | None:
    """RFC 3339 with a zone, to the microsecond; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def counts_of(stream: Stream) -> list[Counts]:
    """They lie in the line itself."""
    return [Counts(number, "", value) for number, value in stream.once(done_lines)]


RULES = (
    Rule("ollama.one-done", BOTH, Kind.RULE, "exactly one line is done, the last", one_done, Scope.BOTH),
    Rule("ollama.constant-model", BOTH, Kind.SOFT_RULE, "all lines have the same model", constant_model),
    Rule(
        "ollama.done-reason",
        BOTH,
        Kind.SOFT_RULE,
        "the line that is done has a done_reason",
        done_reason,
        Scope.BOTH,
    ),
    Rule("ollama.created-order", BOTH, Kind.SOFT_RULE, "created_at never goes back", created_order),
    negative_rule("ollama", BOTH, counts_of),
)
