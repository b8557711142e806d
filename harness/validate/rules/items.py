"""The items of a Responses stream, walked once: what was added, filled by deltas, and done, and when.

The law of this file: an item is known by its `output_index`, and where the server sends none (llama.cpp)
by its id. A part is known by its item, its kind and its index; a strand is what deltas of one kind add
up to, whose text is said again by its `.done`, by the end of its part, and by the end of its item.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.core.dialects.fields import JsonObject, object_in, text_in
from harness.validate.rules.rule import Fault
from harness.validate.rules.sequence import is_masked, typed
from harness.validate.rules.stream import Stream


class Kind(NamedTuple):
    """A kind of strand: `.delta` and `.done` events of this name, and the member that has it whole.

    `part` is the member of events that counts its parts, empty where the item has only one; `of` is the
    type of its part, else of its item.
    """

    name: str
    member: str
    part: str
    of: str

    @property
    def has_parts(self) -> bool:
        """Whether its part is asked for. vLLM names those of reasoning otherwise (`reasoning_part`)."""
        return bool(self.part) and self.name != "reasoning_text"


KINDS = (
    Kind("output_text", "text", "content_index", "output_text"),
    Kind("refusal", "refusal", "content_index", "refusal"),
    Kind("reasoning_text", "text", "content_index", "reasoning_text"),
    Kind("reasoning_summary_text", "text", "summary_index", "summary_text"),
    Kind("function_call_arguments", "arguments", "", "function_call"),
    Kind("mcp_call_arguments", "arguments", "", "mcp_call"),
    Kind("custom_tool_call_input", "input", "", "custom_tool_call"),
    Kind("code_interpreter_call_code", "code", "", "code_interpreter_call"),
)
WHOLE = {kind.of: kind for kind in KINDS}
"""Type of a part or item -> the strand that it has whole."""

PARTS = {"content_index": "content", "summary_index": "summary"}
"""The member of events that counts parts -> the member of the item that holds them."""

type Key = int | str
type PartKey = tuple[Key, str, int]


@dataclass(slots=True)
class Span:
    """From when to when an item or part was there: the events that added it and that ended it."""

    added: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    item: JsonObject = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it is there, as far as the walk has come."""
        return bool(self.added) and not self.done


@dataclass(slots=True)
class Strand:
    """Deltas of one kind: their texts, the last one's event, and what is known of them.

    `closed`: its `.done` came; `differs`: some whole text is another, which is told once.
    """

    texts: list[str] = field(default_factory=list)
    event: int = 0
    closed: bool = False
    differs: bool = False


class Items:
    """What a walk over the events found.

    `indexes` are the output indexes of the items as they were added. `outside` are events that name an
    item or part that is not there; `differing` the places where a whole text is not the one that its
    deltas add up to.
    """

    def __init__(self) -> None:
        self.items: dict[Key, Span] = {}
        self.parts: dict[PartKey, Span] = {}
        self.strands: dict[PartKey, Strand] = {}
        self.indexes: list[tuple[int, str, Any]] = []
        self.outside: list[Fault] = []
        self.differing: list[Fault] = []
        self._keys: dict[str, Key] = {}

    def item_added(self, number: int, event: JsonObject) -> None:
        """`response.output_item.added`."""
        item = object_in(event, "item")
        named = item.get("id")
        key = self._key(event, named)
        if isinstance(named, str):
            self._keys[named] = key
        span = self.items.setdefault(key, Span())
        span.added.append(number)
        span.item = item
        if len(span.added) == 1:
            self.indexes.append((number, "/output_index", event.get("output_index")))

    def item_done(self, number: int, event: JsonObject) -> None:
        """`response.output_item.done`: what it has whole itself, and in its parts."""
        item = object_in(event, "item")
        key = self._key(event, item.get("id"))
        span = self.items.setdefault(key, Span())
        span.done.append(number)
        span.item = item
        self._whole(number, key, 0, item, "/item")
        for member in PARTS.values():
            parts = item.get(member)
            for index, part in enumerate(parts if isinstance(parts, list) else ()):
                self._whole(number, key, index, part, f"/item/{member}/{index}")

    def part_added(self, number: int, event: JsonObject, counted: str) -> None:
        """`response.content_part.added` and its like; `counted` is the member that counts the parts."""
        key = self._inside(number, event)
        self.parts.setdefault((key, counted, _index(event, counted)), Span()).added.append(number)

    def part_done(self, number: int, event: JsonObject, counted: str) -> None:
        """`response.content_part.done` and its like: what it has whole."""
        key, index = self._inside(number, event), _index(event, counted)
        self.parts.setdefault((key, counted, index), Span()).done.append(number)
        self._whole(number, key, index, event.get("part"), "/part")

    def delta(self, number: int, event: JsonObject, kind: Kind) -> None:
        """A `.delta`."""
        strand = self._strand(number, event, kind)
        text = event.get("delta")
        if isinstance(text, str):
            strand.texts.append(text)
            strand.event = number

    def strand_done(self, number: int, event: JsonObject, kind: Kind) -> None:
        """A `.done`."""
        strand = self._strand(number, event, kind)
        strand.closed = True
        self._compare(number, strand, event.get(kind.member), f"/{kind.member}")

    def _key(self, event: JsonObject, named: Any) -> Key:
        """What an event calls its item by; `named` is the item's id there."""
        index = event.get("output_index")
        if type(index) is int:
            return index
        return self._keys.get(named, named) if isinstance(named, str) else ""

    def _inside(self, number: int, event: JsonObject) -> Key:
        """The item that an event belongs to."""
        named = event.get("item_id")
        key = self._key(event, named)
        span = self.items.get(key)
        if span is None or not span.is_open:
            self.outside.append(Fault(number, "/item_id", "its item is not there"))
        elif isinstance(named, str) and named != span.item.get("id", named):
            self.outside.append(Fault(number, "/item_id", "it names another item"))
        return key

    def _strand(self, number: int, event: JsonObject, kind: Kind) -> Strand:
        """The strand that an event belongs to, which is in an open part and has no end yet."""
        before = len(self.outside)
        key, index = self._inside(number, event), _index(event, kind.part)
        place = (key, kind.name, index)
        strand = self.strands.get(place)
        if strand is None:
            strand = self.strands[place] = Strand()
        if len(self.outside) == before:
            part = self.parts.get((key, kind.part, index)) if kind.has_parts else ANYWHERE
            if part is None or not part.is_open:
                self.outside.append(Fault(number, f"/{kind.part}", "its part is not there"))
            elif strand.closed:
                self.outside.append(Fault(number, "", "it comes after its .done"))
        return strand

    def _whole(self, number: int, key: Key, index: int, holder: Any, pointer: str) -> None:
        kind = WHOLE.get(text_in(holder, "type")) if isinstance(holder, dict) else None
        strand = self.strands.get((key, kind.name, index)) if kind else None
        if kind and strand:
            self._compare(number, strand, holder.get(kind.member), f"{pointer}/{kind.member}")

    def _compare(self, number: int, strand: Strand, whole: Any, pointer: str) -> None:
        """A strand with a whole text, where there were deltas and the text is there."""
        known = strand.texts and isinstance(whole, str) and not is_masked(whole)
        if known and not strand.differs and "".join(strand.texts) != whole:
            strand.differs = True
            self.differing.append(Fault(number, pointer, "this is another"))


ANYWHERE = Span(added=[0])
"""The part of what has no parts."""


def _index(event: JsonObject, counted: str) -> int:
    index = event.get(counted)
    return index if type(index) is int else 0


type Reader = Callable[[Items, int, JsonObject], None]


def _of_strands(read: Callable[[Items, int, JsonObject, Kind], None], end: str) -> dict[str, Reader]:
    return {f"response.{kind.name}.{end}": _with(read, kind) for kind in KINDS}


def _with[T](read: Callable[[Items, int, JsonObject, T], None], given: T) -> Reader:
    return lambda items, number, event: read(items, number, event, given)


READERS: dict[str, Reader] = {
    **_of_strands(Items.delta, "delta"),
    **_of_strands(Items.strand_done, "done"),
    "response.output_item.added": Items.item_added,
    "response.output_item.done": Items.item_done,
    "response.content_part.added": _with(Items.part_added, "content_index"),
    "response.content_part.done": _with(Items.part_done, "content_index"),
    "response.reasoning_summary_part.added": _with(Items.part_added, "summary_index"),
    "response.reasoning_summary_part.done": _with(Items.part_done, "summary_index"),
}
"""Type of an event -> how it is read; the others are in no item, or may be anywhere in it."""


def walk(stream: Stream) -> Items:
    """The items of a stream. None are found where it was taken up in its middle, since some began before."""
    items = Items()
    if not is_resumed(stream):
        for number, kind, event in stream.once(typed):
            if reader := READERS.get(kind):
                reader(items, number, event)
    return items


def is_resumed(stream: Stream) -> bool:
    """Whether a request took a stream up in its middle: `GET /responses/ID?starting_after=N`."""
    return "starting_after=" in stream.exchange.request.url
