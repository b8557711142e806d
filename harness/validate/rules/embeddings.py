"""Rules for embeddings, which come as plain answers alone.

Format: https://platform.openai.com/docs/api-reference/embeddings.
"""

from collections.abc import Iterator

from harness.core.dialects.openai_chat import EMBEDDINGS
from harness.validate.finding import Kind
from harness.validate.rules.choices import TOKENS, inputs
from harness.validate.rules.counts import usage_rules
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.sequence import gaps
from harness.validate.rules.stream import Stream

ONLY = (EMBEDDINGS.name,)


def data_indexes(stream: Stream) -> Iterator[Fault]:
    """As many as there are inputs."""
    for number, value in stream.objects:
        data = value.get("data")
        if isinstance(data, list):
            indexes = [entry.get("index") if isinstance(entry, dict) else None for entry in data]
            places = enumerate(indexes)
            yield from gaps((number, f"/data/{place}/index", index) for place, index in places)
            if stream.asked and len(data) != inputs(stream.asked.get("input")):
                yield Fault(number, "/data", "there are more or fewer")


RULES = (
    Rule(
        "embeddings.indexes",
        ONLY,
        Kind.RULE,
        "there is one embedding for each input, in order, with the index of its place",
        data_indexes,
        Scope.BODY,
    ),
    *usage_rules("embeddings", ONLY, TOKENS, Kind.SOFT_RULE)[:2],  # nothing is cached or thought
)
