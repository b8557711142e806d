"""Rules for answers in `choices`, which chat completions and completions share.

The law of this file: a choice is known by its `index`, and where a vendor leaves that out by its place
in the array. The pieces of a choice are its deltas (or message) in their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from harness.core.dialects.fields import JsonObject, object_in
from harness.validate.finding import Kind
from harness.validate.rules.counts import Tokens, usage_rules, usages_at
from harness.validate.rules.rule import Fault, Find, Rule, Scope
from harness.validate.rules.sequence import changes, once_and_last
from harness.validate.rules.stream import Stream

PAYLOAD = ("content", "text", "refusal", "reasoning_content", "reasoning", "tool_calls", "function_call")
"""Members of a piece that carry generated content."""

EMPTY_WITH = ("usage", "prompt_filter_results", "prompt_annotations", "moderation", "error")
"""What an object without choices is there for."""

TOKENS = Tokens(
    found=usages_at(("usage",), ("x_groq", "usage")),
    input="prompt_tokens",
    output="completion_tokens",
    cached=("prompt_tokens_details", "cached_tokens"),
    reasoning=("completion_tokens_details", "reasoning_tokens"),
)


class Piece(NamedTuple):
    """One element of `choices`: the number of its event, its place there, and what it says.

    `said` is its delta or message, with completions the element itself; `member` is its name then, with
    a slash before it.
    """

    event: int
    position: int
    choice: JsonObject
    member: str
    said: JsonObject

    def pointer(self, *members: str | int) -> str:
        """The JSON pointer of a member of what it says."""
        return "/".join((f"/choices/{self.position}{self.member}", *map(str, members)))


@dataclass(slots=True)
class Choice:
    """The pieces of one choice, and the places in them of those that finish it."""

    pieces: list[Piece] = field(default_factory=list)
    finishes: list[int] = field(default_factory=list)

    @property
    def finish(self) -> str:
        """Why it finished; empty where it says nothing."""
        reason = self.pieces[self.finishes[-1]].choice["finish_reason"] if self.finishes else ""
        return reason if isinstance(reason, str) else ""


def choices_of(stream: Stream) -> dict[int, Choice]:
    """The choices by their index."""
    choices: dict[int, Choice] = {}
    for number, value in stream.objects:
        listed = value.get("choices")
        if type(listed) is not list:
            continue
        for position, choice in enumerate(listed):
            if type(choice) is dict:
                index = choice.get("index")
                key = index if type(index) is int else position
                into = choices.get(key) or choices.setdefault(key, Choice())
                if choice.get("finish_reason"):
                    into.finishes.append(len(into.pieces))
                into.pieces.append(piece_of(number, position, choice))
    return choices


def piece_of(number: int, position: int, choice: JsonObject) -> Piece:
    """The piece in an element of `choices`, whose place is given."""
    said: Any = choice.get("delta")
    if type(said) is dict:
        return Piece(number, position, choice, "/delta", said)
    said = choice.get("message")
    if type(said) is dict:
        return Piece(number, position, choice, "/message", said)
    return Piece(number, position, choice, "", choice)


def one_done(stream: Stream) -> Iterator[Fault]:
    """Missing it, an answer cannot be told from a broken one."""
    return once_and_last(stream.dones, len(stream.messages), ended=stream.ended)


def constant(key: str) -> Find:
    """The rule's function for a field that never changes."""
    return lambda stream: changes(stream.objects, key)


def choice_indexes(stream: Stream) -> Iterator[Fault]:
    """As many as `n` asks for (and the prompts of completions); all of them where the answer ended."""
    choices = stream.once(choices_of)
    wanted = _asked_for(stream.asked)
    for index, choice in choices.items():
        if not 0 <= index < (wanted or len(choices)):
            first = choice.pieces[0]
            yield Fault(first.event, f"/choices/{first.position}/index", "this is another")
    if stream.ended and len(choices) < (wanted or 1):
        yield Fault(0, "/choices", "there are fewer")


def _asked_for(asked: JsonObject) -> int | None:
    """How many choices a request asks for; None where it cannot be read."""
    n = asked.get("n") or 1
    return n * inputs(asked.get("prompt")) if asked and type(n) is int else None


def inputs(given: Any) -> int:
    """How many inputs a `prompt` or `input` is: a list of numbers is one, its tokens."""
    several = isinstance(given, list) and given and isinstance(given[0], str | list)
    return len(given) if several else 1


def some_finish(stream: Stream) -> Iterator[Fault]:
    """Every choice finishes, where the answer ended."""
    for choice in stream.once(choices_of).values():
        if stream.ended and not choice.finishes:
            last = choice.pieces[-1]
            yield Fault(last.event, f"/choices/{last.position}/finish_reason", "there is none")


def one_finish(stream: Stream) -> Iterator[Fault]:
    """Every choice finishes, and once."""
    yield from some_finish(stream)
    for choice in stream.once(choices_of).values():
        for place in choice.finishes[1:]:
            again = choice.pieces[place]
            yield Fault(again.event, f"/choices/{again.position}/finish_reason", "here is another")


def nothing_after_finish(stream: Stream) -> Iterator[Fault]:
    """Content in the event of the finish itself is fine."""
    for choice in stream.once(choices_of).values():
        if choice.finishes:
            for piece in choice.pieces[choice.finishes[0] + 1 :]:
                for key in PAYLOAD:
                    if piece.said.get(key):
                        yield Fault(piece.event, piece.pointer(key), "this comes after it")


def empty_choices(stream: Stream) -> Iterator[Fault]:
    """Without choices an object tells of tokens, filters or moderation (Azure, OpenAI)."""
    for number, value in stream.objects:
        if value.get("choices") == [] and not any(value.get(key) for key in EMPTY_WITH):
            yield Fault(number, "/choices", "this has none of them")


def usage_asked(stream: Stream) -> Iterator[Fault]:
    """A request asks with `stream_options`."""
    asked = object_in(stream.asked, "stream_options").get("include_usage") is True
    if asked and stream.ended and not stream.once(TOKENS.found):
        yield Fault(0, "/usage", "there is none")


def usage_once(stream: Stream) -> Iterator[Fault]:
    """vLLM sends it with every event where `continuous_usage_stats` ask for that."""
    if not object_in(stream.asked, "stream_options").get("continuous_usage_stats"):
        events = sorted({count.event for count in stream.once(TOKENS.found)})
        yield from (Fault(number, "/usage", "here is another") for number in events[1:])


def usage_last(stream: Stream) -> Iterator[Fault]:
    """Moderation alone may follow it."""
    found = stream.once(TOKENS.found)
    if found and stream.ended:
        after = [n for n, value in stream.objects if n > found[-1].event and not value.get("moderation")]
        yield from (Fault(number, "", "this comes after it") for number in after[:1])


HARD, SOFT = Kind.RULE, Kind.SOFT_RULE

SHARED = (
    Rule("one-done", (), HARD, "exactly one [DONE] ends the stream", one_done),
    Rule("constant-id", (), SOFT, "all events have the same id", constant("id")),
    Rule("constant-model", (), HARD, "all events have the same model", constant("model")),
    Rule("constant-created", (), SOFT, "all events have the same created", constant("created")),
    Rule(
        "constant-fingerprint",
        (),
        HARD,
        "all events have the same system_fingerprint",
        constant("system_fingerprint"),
    ),
    Rule("choice-indexes", (), HARD, "choices have the indexes 0 to n-1", choice_indexes, Scope.BOTH),
    Rule(
        "nothing-after-finish",
        (),
        HARD,
        "a choice says nothing after its finish_reason",
        nothing_after_finish,
    ),
    Rule(
        "empty-choices",
        (),
        HARD,
        "an event without choices has usage, filter results or moderation",
        empty_choices,
    ),
    Rule(
        "usage-asked",
        (),
        SOFT,
        "usage comes where stream_options.include_usage asks for it",
        usage_asked,
    ),
    Rule("usage-once", (), SOFT, "usage comes in one event", usage_once),
    Rule("usage-last", (), SOFT, "usage comes in the last event before [DONE]", usage_last),
)
"""The rules of both dialects, which each has under its own name."""


def shared_rules(family: str, dialect: str) -> tuple[Rule, ...]:
    """The rows of one dialect for the shared rules, and for its counts."""
    own = (replace(rule, name=f"{family}.{rule.name}", dialects=(dialect,)) for rule in SHARED)
    return (*own, *usage_rules(family, (dialect,), TOKENS, SOFT))
