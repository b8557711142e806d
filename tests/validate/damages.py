"""Kinds of damage, each done at a random place of a valid answer, and what must be found of it."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.validate.finding import Profile, Severity
from tests.validate.answers import ALL, BODIES, CHATS, NAMED, OPENAI, STREAMS, Answer, numbered

type Place = tuple[Any, Any]

REQUIRED = {
    *("choices", "created", "model", "object", "delta", "content_block", "message", "response", "item"),
    *("part", "item_id", "output_index", "content_index", "id", "index", "call_id", "name"),
}
"""Members that are required wherever answers of these sources have them, but for those of tool calls."""


def is_required(name: Any, item: Any) -> bool:
    """The item of a call need not have an id (`fc_...`)."""
    return name in REQUIRED and not str(item).startswith("fc_")


COUNTS = ("total_tokens", "prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


def places(value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Every member and element at any depth: its holder, its name, its value."""
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, name, item
        if isinstance(item, dict | list):
            yield from places(item)


def pick(rng: random.Random, answer: Answer, fits: Callable[[Any, Any], bool]) -> Place | None:
    """A random member, as its holder and its name."""
    messages = [message for message in answer.messages if isinstance(message, dict)]
    every = (place for message in messages for place in places(message))
    found = [(held, name) for held, name, item in every if fits(name, item)]
    return rng.choice(found) if found else None


def typed(answer: Answer, *kinds: str) -> list[int]:
    """Where events are whose type ends so."""
    said = [one.get("type", "") if isinstance(one, dict) else "" for one in answer.messages]
    return [number for number, kind in enumerate(said) if kind.endswith(kinds)]


def deltas(answer: Answer) -> list[int]:
    """Where events are that carry text of a chat or of Responses."""
    if answer.named:
        return typed(answer, "_text.delta", "_arguments.delta")
    pieces = [one["choices"] if isinstance(one, dict) else [] for one in answer.messages]
    return [number for number, held in enumerate(pieces) if held and held[0]["delta"].get("content")]


def texts(answer: Answer, number: int) -> Place:
    message = answer.messages[number]
    return (message, "delta") if answer.named else (message["choices"][0]["delta"], "content")


type Damages = Callable[[random.Random, Answer], object]
"""Damages an answer; False: it has no place for this damage."""


def change(fits: Callable[[Any, Any], bool], to: Callable[[Any], Any]) -> Damages:
    """Damage that gives a random member another value."""

    def damage(rng: random.Random, answer: Answer) -> object:
        place = pick(rng, answer, fits)
        if place is None:
            return False
        held, name = place
        held[name] = to(held[name])
        return True

    return damage


def drop(fits: Callable[[Any, Any], bool]) -> Damages:
    """Damage that takes a random member away."""

    def damage(rng: random.Random, answer: Answer) -> object:
        place = pick(rng, answer, fits)
        if place is None:
            return False
        place[0].pop(place[1])
        return True

    return damage


def named(*names: str) -> Callable[[Any, Any], bool]:
    return lambda name, item: name in names and item is not None


def is_count(name: Any, item: Any) -> bool:
    return isinstance(name, str) and type(item) is int


def is_open_to_drift(name: Any, item: Any) -> bool:
    return name in ("delta", "message", "response", "item", "content_block") and isinstance(item, dict)


def other_type(value: Any) -> Any:
    return 5 if isinstance(value, str) else "text" if isinstance(value, dict | list) else {"a": []}


def wrong_total(rng: random.Random, answer: Answer) -> object:
    return change(named("total_tokens"), lambda count: count + rng.randint(1, 9))(rng, answer)


def duplicate_end(_: random.Random, answer: Answer) -> object:
    answer.messages.append(answer.messages[-1])
    return renumbered(answer)


def renumbered(answer: Answer) -> object:
    """Numbers in their order, so that only what was damaged can be found."""
    answer.messages = json.loads(json.dumps(answer.messages))
    return numbered(answer) if "/responses" in answer.url else answer


def cut_end(_: random.Random, answer: Answer) -> None:
    answer.messages.pop()


def late_delta(_: random.Random, answer: Answer) -> object:
    if answer.named:
        answer.messages.append(answer.messages[(deltas(answer) or typed(answer, "block_delta"))[0]])
    else:
        finish = next(n for n, one in enumerate(answer.messages) if one["choices"][0]["finish_reason"])
        late = json.loads(json.dumps(answer.messages[finish]))
        late["choices"][0] |= {"delta": {"content": "late"}, "finish_reason": None}
        answer.messages.insert(finish + 1, late)
    return renumbered(answer)


def changed_id(rng: random.Random, answer: Answer) -> None:
    held = [one for one in answer.messages if isinstance(one, dict)]
    if answer.named:
        held = [one["response"] for one in held if "response" in one]
    rng.choice(held)["id"] += "x"


def repeated_role(rng: random.Random, answer: Answer) -> None:
    later = [one for one in answer.messages[1:] if isinstance(one, dict) and one["choices"]]
    rng.choice(later)["choices"][0]["delta"]["role"] = "assistant"


def broken_arguments(rng: random.Random, answer: Answer) -> object:
    """Where a call begins without arguments, nothing counts on them."""
    fits = named("arguments", "partial_json")
    return change(lambda name, item: fits(name, item) and item != "", lambda text: text + "\0")(rng, answer)


def lost(rng: random.Random, answer: Answer) -> object:
    """A delta of Responses is lost; of a chat, its text, while its logprobs tell of it."""
    number = rng.choice(deltas(answer))
    if answer.named:
        answer.messages.pop(number)
        return renumbered(answer)
    texts(answer, number)[0]["content"] = ""
    return True


def doubled(rng: random.Random, answer: Answer) -> None:
    held, name = texts(answer, rng.choice(deltas(answer)))
    held[name] += held[name]


def swapped(rng: random.Random, answer: Answer) -> None:
    """The texts of two neighbours of one strand."""
    found = deltas(answer)
    pairs = [pair for pair in pairwise(found) if pair[1] == pair[0] + 1]
    pairs = [pair for pair in pairs if texts(answer, pair[0]) != texts(answer, pair[1])]
    one, other = (texts(answer, number) for number in rng.choice(pairs))
    one[0][one[1]], other[0][other[1]] = other[0][other[1]], one[0][one[1]]


def wrong_name(rng: random.Random, answer: Answer) -> None:
    answer.renamed[rng.randrange(len(answer.messages))] = "another"


def cut_json(rng: random.Random, answer: Answer) -> None:
    number = rng.choice([number for number, one in enumerate(answer.messages) if isinstance(one, dict)])
    text = json.dumps(answer.messages[number])
    answer.messages[number] = text[: rng.randint(1, len(text) - 1)]


def wrong_media(_: random.Random, answer: Answer) -> None:
    answer.media_sent = "text/html"


def out_of_order(rng: random.Random, answer: Answer) -> object:
    """A start behind its stop."""
    starts = typed(answer, "output_item.added", "content_block_start", "message_start", "response.created")
    answer.messages.insert(len(answer.messages) - 1, answer.messages.pop(rng.choice(starts)))
    return renumbered(answer)


def gap(member: str, *kinds: str) -> Damages:
    """Damage that leaves a number out from some event on."""

    def damage(rng: random.Random, answer: Answer) -> object:
        start = rng.choice(typed(answer, *kinds))
        for one in answer.messages[start:]:
            if member in one:
                one[member] += 1
        return True

    return damage


def wrong_status(rng: random.Random, answer: Answer) -> None:
    wrong = rng.choice(["in_progress", "failed", "incomplete"])
    answer.messages[-1]["response"]["status"] = wrong


def lost_event(*kinds: str) -> Damages:
    """Damage that loses an event of a kind."""

    def damage(rng: random.Random, answer: Answer) -> object:
        answer.messages.pop(rng.choice(typed(answer, *kinds)))
        return renumbered(answer)

    return damage


def other_output(rng: random.Random, answer: Answer) -> None:
    answer.messages[-1]["response"]["output"].pop()


@dataclass(frozen=True)
class Damage:
    """A kind of damage: what does it, to which answers, and the share that must be found, as what."""

    does: Damages
    sources: tuple[str, ...]
    rate: float = 0.99
    severity: Severity = Severity.ERROR
    profile: Profile = Profile.COMPATIBLE


def by_schema(does: Damages, sources: tuple[str, ...] = ALL, **more: Any) -> Damage:
    return Damage(does, sources, 1.0, **more)


ENUMS = named("object", "finish_reason", "service_tier", "role", "status", "stop_reason")
WRONG_WORD = change(ENUMS, lambda _: "another")
WARNING = Severity.WARNING
DAMAGES = {
    "field dropped": by_schema(drop(is_required)),
    "wrong type": by_schema(change(lambda name, item: item is not None and name != "input", other_type)),
    "wrong word": by_schema(WRONG_WORD, severity=Severity.DRIFT),
    "wrong word, strict": by_schema(WRONG_WORD, profile=Profile.STRICT),
    "numeric string": by_schema(change(is_count, str)),
    "boolean for a number": by_schema(change(is_count, lambda _: True)),
    "fraction for a count": by_schema(
        change(lambda name, item: is_count(name, item) and name != "created_at", lambda count: count + 0.5)
    ),
    "unknown field, strict": by_schema(
        change(is_open_to_drift, lambda item: item | {"xx": 1}), profile=Profile.STRICT
    ),
    "no finish_reason": by_schema(drop(lambda name, _: name == "finish_reason"), OPENAI),
    "negative usage": Damage(change(named(*COUNTS), lambda count: -1 - count), ALL),
    "wrong sum of usage": Damage(wrong_total, (*OPENAI, "responses", "responses body"), severity=WARNING),
    "terminator missing": Damage(cut_end, STREAMS),
    "two terminators": Damage(duplicate_end, STREAMS),
    "delta after finish": Damage(late_delta, STREAMS),
    "changed id": Damage(changed_id, (*CHATS, "responses"), severity=WARNING),
    "repeated role": Damage(repeated_role, CHATS, severity=WARNING),
    "broken arguments": Damage(broken_arguments, ("chat tools", "responses", "anthropic")),
    "lost delta": Damage(lost, ("chat logprobs", "responses")),
    "doubled delta": Damage(doubled, ("chat logprobs", "responses")),
    "swapped deltas": Damage(swapped, ("chat logprobs", "responses")),
    "wrong event name": Damage(wrong_name, NAMED, severity=WARNING),
    "JSON cut": Damage(cut_json, (*STREAMS, *BODIES)),
    "wrong content type": Damage(wrong_media, STREAMS, severity=WARNING),
    "event out of order": Damage(out_of_order, NAMED),
    "gap of indexes": Damage(gap("index", "block_start"), ("anthropic",)),
    "gap of outputs": Damage(gap("output_index", "item.added"), ("responses",)),
    "gap of sequence numbers": Damage(gap("sequence_number", ""), ("responses",)),
    "status of another event": Damage(wrong_status, ("responses",)),
    "lost start": Damage(lost_event("item.added", "part.added", "block_start", "message_start"), NAMED),
    "lost stop": Damage(lost_event("item.done", "part.done", "block_stop", "message_delta"), NAMED),
    "output without an item": Damage(other_output, ("responses",)),
}
