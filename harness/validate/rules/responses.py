"""Rules for OpenAI's Responses API.

Format: https://platform.openai.com/docs/api-reference/responses-streaming.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from harness.core.dialects.fields import JsonObject, object_in, objects_in
from harness.core.dialects.openai_responses import RESPONSES
from harness.validate.finding import Kind
from harness.validate.rules.counts import Tokens, usage_rules, usages_at
from harness.validate.rules.items import Span, is_resumed, walk
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.sequence import (
    changes,
    event_names,
    gaps,
    is_json_text,
    no_dones,
    once_and_last,
    repeats,
    typed,
)
from harness.validate.rules.stream import Stream

ONLY = (RESPONSES.name,)

TERMINALS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
"""Type of the last event -> status of the response in it."""

OPENING = (("response.created",), ("response.queued", "response.in_progress"))
"""Types of the first event, and of the second."""

BROKEN = ("error", "response.failed")
"""Types of events that may come at any time."""

CALLS = ("function_call", "custom_tool_call")
SEQUENCE = "sequence_number"

TOKENS = Tokens(
    found=usages_at(("response", "usage"), ("usage",)),
    input="input_tokens",
    output="output_tokens",
    cached=("input_tokens_details", "cached_tokens"),
    reasoning=("output_tokens_details", "reasoning_tokens"),
)


def numbered(stream: Stream) -> Iterator[Fault]:
    """Told once, where no event at all is numbered."""
    if stream.objects and not any(SEQUENCE in value for _, value in stream.objects):
        yield Fault(stream.objects[0][0], f"/{SEQUENCE}", "none has one")


def sequence_number(stream: Stream) -> Iterator[Fault]:
    """From 0; from anywhere, where the stream was taken up in its middle. Errors may have none."""
    pointer = f"/{SEQUENCE}"
    given = [(number, kind, value.get(SEQUENCE)) for number, kind, value in stream.once(typed)]
    found = [
        (number, pointer, value) for number, kind, value in given if value is not None or kind != "error"
    ]
    if any(value is not None for _, _, value in found):
        first = found[0][2] if is_resumed(stream) else 0
        yield from gaps(found, first if type(first) is int else 0)


def opening(stream: Stream) -> Iterator[Fault]:
    """An error may come instead of both."""
    kinds = [] if is_resumed(stream) else stream.once(typed)
    for (number, kind, _), wanted in zip(kinds, OPENING, strict=False):
        if kind in BROKEN:
            return
        if kind not in wanted:
            yield Fault(number, "/type", "this is another")
    again = [number for number, kind, _ in kinds[1:] if kind == OPENING[0][0]]
    yield from (Fault(number, "/type", "it is created again") for number in again)


def terminal(stream: Stream) -> Iterator[Fault]:
    """Completed, incomplete or failed."""
    kinds = stream.once(typed)
    found = [number for number, kind, _ in kinds if kind in TERMINALS]
    return once_and_last(found, kinds[-1][0] if kinds else 0, ended=stream.ended)


def status(stream: Stream) -> Iterator[Fault]:
    """The status of the response, as its last event says it."""
    for number, kind, value in stream.once(typed):
        wanted = TERMINALS.get(kind)
        if wanted and object_in(value, "response").get("status") != wanted:
            yield Fault(number, "/response/status", "it is another")


def constant_id(stream: Stream) -> Iterator[Fault]:
    """Of the events that carry a response."""
    carriers = [
        (n, value["response"]) for n, value in stream.objects if isinstance(value.get("response"), dict)
    ]
    return changes(carriers, "id", "/response")


def output_index(stream: Stream) -> Iterator[Fault]:
    """In the order in which the items are added."""
    return gaps(stream.once(walk).indexes)


def items(stream: Stream) -> Iterator[Fault]:
    """Where the response completed, every item is done."""
    return _spans(stream, stream.once(walk).items.values(), "/item")


def parts(stream: Stream) -> Iterator[Fault]:
    """Parts of the content, and of the summary of reasoning."""
    return _spans(stream, stream.once(walk).parts.values(), "/part")


def _spans(stream: Stream, spans: Iterable[Span], pointer: str) -> Iterator[Fault]:
    completed = _is_completed(stream)
    for span in spans:
        yield from (Fault(number, pointer, "it is added again") for number in span.added[1:])
        yield from (Fault(number, pointer, "it is done again") for number in span.done[1:])
        if span.done and not (span.added and span.added[0] < span.done[0]):
            yield Fault(span.done[0], pointer, "it was not added before")
        if completed and not span.done:
            yield Fault(span.added[0], pointer, "it is never done")


def _is_completed(stream: Stream) -> bool:
    kinds = stream.once(typed)
    return stream.ended and any(kind == "response.completed" for _, kind, _ in kinds)


def inside(stream: Stream) -> Iterable[Fault]:
    """Deltas and their ends name an item, and a part of it, that was added and is not done."""
    return stream.once(walk).outside


def deltas(stream: Stream) -> Iterable[Fault]:
    """Text, refusals, arguments, reasoning, its summary, code."""
    return stream.once(walk).differing


def deltas_closed(stream: Stream) -> Iterator[Fault]:
    """llama.cpp leaves out the `.done` of arguments."""
    if _is_completed(stream):
        for strand in stream.once(walk).strands.values():
            if not strand.closed:
                yield Fault(strand.event, "/delta", "there is none")


def output(stream: Stream) -> Iterator[Fault]:
    """Some of an incomplete response may never have been done."""
    spans = list(stream.once(walk).items.values())
    for number, kind, value in stream.once(typed):
        listed = object_in(value, "response").get("output")
        if kind not in TERMINALS or not isinstance(listed, list) or is_resumed(stream):
            continue
        if kind == "response.completed" and len(listed) != len(spans):
            yield Fault(number, "/response/output", "there are more or fewer")
        for place, (item, span) in enumerate(zip(listed, spans, strict=False)):
            if span.done and _plain(item) != _plain(span.item):
                yield Fault(number, f"/response/output/{place}", "it is another")


def _plain(item: Any) -> Any:
    """An item without what is encrypted anew each time."""
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if key != "encrypted_content"}


def usage_end(stream: Stream) -> Iterator[Fault]:
    """Before, it is null or absent."""
    ends = {number for number, kind, _ in stream.once(typed) if kind in TERMINALS}
    early = [count for count in stream.once(TOKENS.found) if count.event not in ends]
    return (Fault(count.event, count.pointer, "it comes before") for count in early)


def made_items(stream: Stream) -> list[tuple[int, str, JsonObject]]:
    """The items of the output as they ended, with event and pointer."""
    if stream.answer.stream:
        spans = stream.once(walk).items.values()
        return [(span.done[0], "/item", span.item) for span in spans if span.done]
    listed = [(n, enumerate(objects_in(value, "output"))) for n, value in stream.objects]
    return [(n, f"/output/{place}", item) for n, placed in listed for place, item in placed]


def call_arguments(stream: Stream) -> Iterator[Fault]:
    """An incomplete call may be cut anywhere."""
    for number, pointer, item in stream.once(made_items):
        written = item.get("arguments")
        is_whole = item.get("type") == "function_call" and item.get("status") != "incomplete"
        if is_whole and isinstance(written, str) and not is_json_text(written):
            yield Fault(number, f"{pointer}/arguments", "they are none")


def item_ids(stream: Stream) -> Iterator[Fault]:
    """An output has the `call_id` of its call, so calls alone are compared by that."""
    made = stream.once(made_items)
    yield from repeats((number, f"{pointer}/id", item.get("id")) for number, pointer, item in made)
    calls = [(n, pointer, item) for n, pointer, item in made if item.get("type") in CALLS]
    yield from repeats((n, f"{pointer}/call_id", item.get("call_id")) for n, pointer, item in calls)


HARD, SOFT = Kind.RULE, Kind.SOFT_RULE

RULES = (
    Rule("responses.event-name", ONLY, SOFT, "the name of an SSE event is its type", event_names),
    Rule("responses.numbered", ONLY, SOFT, "events have a sequence_number", numbered),
    Rule("responses.sequence-number", ONLY, HARD, "sequence_number counts from 0 by 1", sequence_number),
    Rule(
        "responses.opening",
        ONLY,
        HARD,
        "response.created comes first, then response.queued or response.in_progress",
        opening,
    ),
    Rule(
        "responses.terminal",
        ONLY,
        HARD,
        "exactly one of response.completed, response.incomplete and response.failed ends the stream",
        terminal,
    ),
    Rule("responses.status", ONLY, HARD, "the response has the status that its last event names", status),
    Rule("responses.no-done", ONLY, SOFT, "there is no [DONE]", no_dones),
    Rule("responses.constant-id", ONLY, HARD, "all events have the same response id", constant_id),
    Rule(
        "responses.output-index",
        ONLY,
        HARD,
        "items are added with output_index 0, 1, 2 and so on",
        output_index,
    ),
    Rule("responses.items", ONLY, HARD, "every item is added once, then done once", items),
    Rule("responses.parts", ONLY, HARD, "every part of an item is added once, then done once", parts),
    Rule(
        "responses.inside",
        ONLY,
        HARD,
        "deltas come while their item and part are open, and before their .done",
        inside,
    ),
    Rule(
        "responses.deltas",
        ONLY,
        HARD,
        "deltas add up to the text of their .done, of their part and of their item",
        deltas,
    ),
    Rule("responses.deltas-closed", ONLY, SOFT, "deltas are followed by their .done", deltas_closed),
    Rule(
        "responses.output",
        ONLY,
        HARD,
        "the output of the last event is the items that were done, but for encrypted_content",
        output,
    ),
    Rule("responses.usage-end", ONLY, HARD, "usage comes with the last event alone", usage_end),
    Rule(
        "responses.call-arguments",
        ONLY,
        HARD,
        "the arguments of a function call are JSON, unless it is incomplete",
        call_arguments,
        Scope.BOTH,
    ),
    Rule("responses.item-ids", ONLY, HARD, "no two items have the same id", item_ids, Scope.BOTH),
    *usage_rules("responses", ONLY, TOKENS, HARD),
)
