"""Rules for Anthropic's Messages API. A `ping` may come anywhere, and is left out before any rule looks.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.core.dialects.anthropic import CALL_BLOCKS, MESSAGES
from harness.core.dialects.fields import JsonObject, object_in, objects_in, text_in
from harness.validate.finding import Kind
from harness.validate.rules.counts import negative_rule, usages_at
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.sequence import (
    event_names,
    gaps,
    is_json_text,
    no_dones,
    once_and_last,
    repeats,
    typed,
)
from harness.validate.rules.stream import Stream

ONLY = (MESSAGES.name,)

START, DELTA, STOP = "content_block_start", "content_block_delta", "content_block_stop"

DELTAS = {
    "text_delta": ("text",),
    "citations_delta": ("text",),
    "thinking_delta": ("thinking",),
    "signature_delta": ("thinking",),
    "input_json_delta": CALL_BLOCKS,
    "compaction_delta": ("compaction",),
}
"""Type of a delta -> types of the blocks that it fits."""

BLOCKS = frozenset(kind for kinds in DELTAS.values() for kind in kinds)
"""The blocks that have deltas; what others have, nobody here knows."""

AFTER = (START, "message_delta", "message_stop")
"""Types of events that come when no block is open."""

BROKEN_OFF = ("max_tokens", "model_context_window_exceeded", "refusal")
"""Reasons to stop after which the input of a tool may be cut."""


@dataclass(slots=True)
class Block:
    """A block of content: the event and the pointer of its start, its start, its deltas with their events."""

    event: int
    pointer: str
    index: Any
    start: JsonObject
    deltas: list[tuple[int, JsonObject]] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Its type."""
        return text_in(self.start, "type")


def events_of(stream: Stream) -> list[tuple[int, str, JsonObject]]:
    """All typed events but pings."""
    return [event for event in stream.once(typed) if event[1] != "ping"]


def blocks_of(stream: Stream) -> list[Block]:
    """The blocks in their order; a delta belongs to the last block of its index."""
    if not stream.answer.stream:
        held = [enumerate(objects_in(value, "content")) for _, value in stream.objects]
        return [Block(0, f"/content/{place}", place, block) for placed in held for place, block in placed]
    blocks: list[Block] = []
    open_blocks: dict[int, Block] = {}
    for number, kind, value in stream.once(events_of):
        index = value.get("index")
        if kind == START:
            blocks.append(Block(number, "/content_block", index, object_in(value, "content_block")))
            if type(index) is int:
                open_blocks[index] = blocks[-1]
        elif kind == DELTA and type(index) is int and index in open_blocks:
            open_blocks[index].deltas.append((number, object_in(value, "delta")))
    return blocks


def opening(stream: Stream) -> Iterator[Fault]:
    """An error may come instead."""
    events = stream.once(events_of)
    if events and events[0][1] not in ("message_start", "error"):
        yield Fault(events[0][0], "/type", "it begins with another")
    again = [number for number, kind, _ in events[1:] if kind == "message_start"]
    yield from (Fault(number, "/type", "it is started again") for number in again)


def closing(stream: Stream) -> Iterator[Fault]:
    """The end that clients wait for."""
    events = stream.once(events_of)
    found = [number for number, kind, _ in events if kind == "message_stop"]
    return once_and_last(found, events[-1][0] if events else 0, ended=stream.ended)


def block_indexes(stream: Stream) -> Iterator[Fault]:
    """In the order in which they start."""
    return gaps((block.event, "/index", block.index) for block in stream.once(blocks_of))


def block_order(stream: Stream) -> Iterator[Fault]:
    """One block at a time, which is over before the message is."""
    is_open, current = False, None
    for number, kind, value in stream.once(events_of):
        index = value.get("index")
        if kind in (DELTA, STOP) and not (is_open and index == current):
            yield Fault(number, "/index", "this one is not open")
        elif kind in AFTER and is_open:
            yield Fault(number, "/index" if kind == START else "/type", "the one before is not stopped")
        if kind == START:
            is_open, current = True, index
        elif kind in AFTER or (kind == STOP and index == current):
            is_open = False


def delta_types(stream: Stream) -> Iterator[Fault]:
    """Blocks and deltas of unknown types may belong together."""
    for block in stream.once(blocks_of):
        for number, delta in block.deltas:
            fitting = DELTAS.get(text_in(delta, "type"))
            if fitting and block.kind in BLOCKS and block.kind not in fitting:
                yield Fault(number, "/delta/type", "it is for another")


def tool_input(stream: Stream) -> Iterator[Fault]:
    """No delta at all, or empty ones, are an empty input."""
    stops = [text_in(object_in(value, "delta"), "stop_reason") for _, value in stream.objects]
    whole = stream.ended and next(filter(None, reversed(stops)), "") not in BROKEN_OFF
    for block in stream.once(blocks_of):
        if whole and block.kind in CALL_BLOCKS and block.deltas:
            written = "".join([text_in(delta, "partial_json") for _, delta in block.deltas])
            if written and not is_json_text(written):
                yield Fault(block.deltas[-1][0], "/delta/partial_json", "they are none")


def message_delta(stream: Stream) -> Iterator[Fault]:
    """It says why the message stops."""
    events = stream.once(events_of)
    found = [(number, value) for number, kind, value in events if kind == "message_delta"]
    if not found and stream.ended:
        yield Fault(0, "", "there is none")
    yield from (Fault(number, "", "here is another") for number, _ in found[1:])
    if found:
        if not object_in(found[-1][1], "delta").get("stop_reason"):
            yield Fault(found[-1][0], "/delta/stop_reason", "there is none")
        after = [
            number for number, kind, _ in events if kind in (START, DELTA, STOP) and number > found[0][0]
        ]
        yield from (Fault(number, "/type", "this comes after it") for number in after)


def tool_stop(stream: Stream) -> Iterator[Fault]:
    """A message that stops for its tools uses some."""
    used = any(block.kind in CALL_BLOCKS for block in stream.once(blocks_of))
    for number, value in stream.objects:
        holder, pointer = (object_in(value, "delta"), "/delta") if number else (value, "")
        if holder.get("stop_reason") == "tool_use" and not used:
            yield Fault(number, f"{pointer}/stop_reason", "there is none")


def call_ids(stream: Stream) -> Iterator[Fault]:
    """Clients answer a call by its id."""
    calls = [block for block in stream.once(blocks_of) if block.kind in CALL_BLOCKS]
    return repeats((call.event, f"{call.pointer}/id", call.start.get("id")) for call in calls)


HARD, SOFT = Kind.RULE, Kind.SOFT_RULE

RULES = (
    Rule("anthropic.event-name", ONLY, HARD, "the name of an SSE event is its type", event_names),
    Rule("anthropic.opening", ONLY, HARD, "message_start comes first, and once", opening),
    Rule("anthropic.closing", ONLY, HARD, "message_stop comes last, and once", closing),
    Rule("anthropic.no-done", ONLY, SOFT, "there is no [DONE]", no_dones),
    Rule("anthropic.block-indexes", ONLY, HARD, "blocks start with index 0, 1, 2 and so on", block_indexes),
    Rule(
        "anthropic.block-order",
        ONLY,
        HARD,
        "a block is started, filled and stopped before another starts or the message ends",
        block_order,
    ),
    Rule("anthropic.delta-type", ONLY, HARD, "deltas fit the type of their block", delta_types),
    Rule(
        "anthropic.tool-input",
        ONLY,
        HARD,
        "the deltas of a tool's input add up to JSON, unless they were cut by length",
        tool_input,
    ),
    Rule(
        "anthropic.message-delta",
        ONLY,
        HARD,
        "one message_delta with a stop_reason comes after all blocks",
        message_delta,
    ),
    Rule(
        "anthropic.tool-stop",
        ONLY,
        HARD,
        "a message that stops with tool_use has a tool block",
        tool_stop,
        Scope.BOTH,
    ),
    Rule("anthropic.call-ids", ONLY, HARD, "no two tool blocks have the same id", call_ids, Scope.BOTH),
    negative_rule("anthropic", ONLY, usages_at(("message", "usage"), ("usage",))),
)
