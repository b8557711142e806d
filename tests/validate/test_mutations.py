"""Damage of every kind, done at random places to valid answers that are generated here, and found again.

Rates are printed (`pytest -s`). Damage that the protocol cannot show (a lost delta of a chat that has no
logprobs) is not done; a damaged stream of Responses is numbered anew, so that its texts must show it.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.store.open import open_recording
from harness.validate.accelerator import IsValid, accelerator
from harness.validate.catalog import Catalog
from harness.validate.checker import Checker, Known
from harness.validate.finding import Finding, Profile, Severity
from harness.validate.shape import shape

type Json = dict[str, Any]
type Place = tuple[Any, Any]
TINY = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
SSE, PLAIN = "text/event-stream", "application/json"
DONE = "[DONE]"
EACH = 20
"""Answers of each source."""


@dataclass
class Answer:
    """An answer whose messages may be changed: parsed JSON, or text. `renamed` are SSE names, by place."""

    url: str
    messages: list[Any]
    asked: Json = field(default_factory=dict)
    media: str = SSE
    status: int = 200
    named: bool = False
    renamed: dict[int, str] = field(default_factory=dict)
    media_sent: str = ""

    def exchange(self) -> Exchange:
        chunks = tuple((number, self.written(number)) for number in range(len(self.messages)))
        headers = (("Content-Type", self.media_sent or self.media),)
        request = Request("POST", self.url, (), json.dumps(self.asked).encode())
        response = Response(self.status, headers, 0, chunks, len(chunks))
        return Exchange(request, response, id=1, end_ns=len(chunks))

    def written(self, number: int) -> bytes:
        message = self.messages[number]
        data = message if isinstance(message, str) else json.dumps(message)
        if self.media == PLAIN:
            return data.encode()
        own = message.get("type", "") if self.named and isinstance(message, dict) else ""
        name = self.renamed.get(number, own)
        return ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()


def words(rng: random.Random) -> list[str]:
    """Different words, so that two of them swapped are another text."""
    return [f"w{number} " for number in rng.sample(range(1000), rng.randint(3, 9))]


def arguments(rng: random.Random) -> list[str]:
    """JSON in pieces."""
    text = json.dumps({"city": rng.choice(["Paris", "Rome"]), "days": rng.randint(1, 99)})
    cut = rng.randint(1, len(text) - 1)
    return [text[:cut], text[cut:]]


def openai_usage(rng: random.Random, first: str, second: str) -> Json:
    one, two = rng.randint(5, 99), rng.randint(5, 99)
    held = {f"{first}_details": {"cached_tokens": 3}, f"{second}_details": {"reasoning_tokens": 2}}
    return {first: one, second: two, "total_tokens": one + two} | held


def chat_head(rng: random.Random, kind: str) -> Json:
    head = {
        "id": f"chatcmpl-{rng.randint(1, 10**6)}",
        "object": kind,
        "created": rng.randint(10**9, 2 * 10**9),
    }
    return head | {"model": "gpt-4o-mini", "system_fingerprint": "fp_1", "service_tier": "default"}


def token(text: str) -> Json:
    return {"token": text, "bytes": list(text.encode()), "logprob": -0.1, "top_logprobs": []}


def chat(rng: random.Random, *, logged: bool = False, tools: bool = False) -> Answer:
    head = chat_head(rng, "chat.completion.chunk")

    def piece(delta: Json, finish: str | None = None, said: str = "") -> Json:
        logprobs = {"content": [token(said)], "refusal": None} if logged and said else None
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return head | {"choices": [choice], "usage": None}

    messages: list[Any] = [piece({"role": "assistant", "content": None if tools else "", "refusal": None})]
    for index in range(rng.randint(1, 3) if tools else 0):
        begun = {"name": "weather", "arguments": ""}
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": begun}
        messages.append(piece({"tool_calls": [call]}))
        parts = [{"index": index, "function": {"arguments": text}} for text in arguments(rng)]
        messages += [piece({"tool_calls": [part]}) for part in parts]
    if not tools:
        messages += [piece({"content": word}, said=word) for word in words(rng)]
    messages.append(piece({}, "tool_calls" if tools else rng.choice(["stop", "length"])))
    usage = openai_usage(rng, "prompt_tokens", "completion_tokens")
    messages += [head | {"choices": [], "usage": usage}, DONE]
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    asked |= {"stream_options": {"include_usage": True}, "logprobs": logged}
    return Answer("https://api.openai.com/v1/chat/completions", messages, asked)


def chat_body(rng: random.Random) -> Answer:
    message = {"role": "assistant", "content": "".join(words(rng)), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = openai_usage(rng, "prompt_tokens", "completion_tokens")
    body = chat_head(rng, "chat.completion") | {"choices": [choice], "usage": usage}
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    return Answer("https://api.openai.com/v1/chat/completions", [body], asked, PLAIN)


def strand(kind: str, place: Json, member: str, texts: list[str]) -> list[Json]:
    more: Json = {"logprobs": []} if member == "text" and kind == "output_text" else {}
    deltas = [{"type": f"response.{kind}.delta", **place, "delta": text} | more for text in texts]
    return [*deltas, {"type": f"response.{kind}.done", **place, member: "".join(texts)} | more]


def message_events(rng: random.Random, index: int) -> list[Json]:
    place = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0}
    item = {"type": "message", "id": f"msg_{index}", "role": "assistant"}
    said = strand("output_text", place, "text", words(rng))
    empty = {"type": "output_text", "text": "", "annotations": []}
    part = empty | {"text": said[-1]["text"]}
    begun = item | {"status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        {"type": "response.content_part.added", **place, "part": empty},
        *said,
        {"type": "response.content_part.done", **place, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item | {"status": "completed", "content": [part]},
        },
    ]


def call_events(rng: random.Random, index: int) -> list[Json]:
    place = {"item_id": f"fc_{index}", "output_index": index}
    item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": "weather"}
    said = strand("function_call_arguments", place, "arguments", arguments(rng))
    done = item | {"arguments": said[-1]["arguments"], "status": "completed"}
    begun = item | {"arguments": "", "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *said,
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ]


def response_head(rng: random.Random) -> Json:
    head = {"id": f"resp_{rng.randint(1, 10**6)}", "object": "response", "created_at": 10**9, "output": []}
    chosen = {"model": "gpt-4o-mini", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return head | chosen | {"error": None, "usage": None}


def responses(rng: random.Random) -> Answer:
    head = response_head(rng)
    begun = head | {"status": "in_progress"}
    messages: list[Json] = [
        {"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")
    ]
    for index in range(rng.randint(1, 3)):
        messages += rng.choice((message_events, call_events))(rng, index)
    items = [one["item"] for one in messages if one["type"] == "response.output_item.done"]
    usage = openai_usage(rng, "input_tokens", "output_tokens")
    ended = head | {"status": "completed", "output": items, "usage": usage}
    messages.append({"type": "response.completed", "response": ended})
    url = "https://api.openai.com/v1/responses"
    asked = {"model": "gpt-4o-mini", "input": "hi", "stream": True}
    return numbered(Answer(url, messages, asked, named=True))


def numbered(answer: Answer) -> Answer:
    for number, message in enumerate(answer.messages):
        message["sequence_number"] = number
    return answer


def response_body(rng: random.Random) -> Answer:
    streamed = responses(rng)
    body = streamed.messages[-1]["response"]
    return Answer(streamed.url, [body], {"model": "gpt-4o-mini", "input": "hi"}, PLAIN)


def anthropic(rng: random.Random) -> Answer:
    usage = {"input_tokens": rng.randint(5, 99), "output_tokens": 1}
    head = {"id": f"msg_{rng.randint(1, 10**6)}", "type": "message", "role": "assistant", "model": "claude-x"}
    message: Json = head | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    messages: list[Json] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    blocks = rng.choices(["text", "tool_use"], k=rng.randint(1, 3))
    for index, kind in enumerate(blocks):
        if kind == "text":
            block: Json = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in words(rng)]
        else:
            block = {"type": kind, "id": f"toolu_{index}", "name": "weather", "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in arguments(rng)]
        messages.append({"type": "content_block_start", "index": index, "content_block": block})
        messages += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        messages.append({"type": "content_block_stop", "index": index})
    reason = {"stop_reason": "tool_use" if "tool_use" in blocks else "end_turn", "stop_sequence": None}
    counts = {"output_tokens": rng.randint(1, 99)}
    messages += [{"type": "message_delta", "delta": reason, "usage": counts}, {"type": "message_stop"}]
    asked = {
        "model": "claude-x",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    return Answer("https://api.anthropic.com/v1/messages", messages, asked, named=True)


SOURCES: dict[str, Callable[[random.Random], Answer]] = {
    "chat": chat,
    "chat tools": lambda rng: chat(rng, tools=True),
    "chat logprobs": lambda rng: chat(rng, logged=True),
    "chat body": chat_body,
    "responses": responses,
    "responses body": response_body,
    "anthropic": anthropic,
}
ALL = tuple(SOURCES)
CHATS, NAMED = ("chat", "chat tools", "chat logprobs"), ("responses", "anthropic")
STREAMS = (*CHATS, *NAMED)
BODIES = ("chat body", "responses body")
OPENAI = (*CHATS, "chat body")

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


def mutated(damage: Damage, answers: dict[str, list[Answer]]) -> Iterator[Answer]:
    """Copies of all answers that have a place for the damage, damaged."""
    rng = random.Random(8)
    for answer in (answer for source in damage.sources for answer in answers[source]):
        copy = replace(answer, messages=json.loads(json.dumps(answer.messages)), renamed={})
        if damage.does(rng, copy) is not False:
            yield copy


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
    missed, tried = [], 0
    for answer in mutated(damage, answers):
        tried += 1
        if not enough & set(severities(found(checker, answer), damage.profile)):
            missed.append(answer)
    print(f"\n{name:24} {1 - len(missed) / tried:7.2%} of {tried}", end="")
    assert tried >= EACH
    assert len(missed) <= (1 - damage.rate) * tried, [one.messages for one in missed[:1]]


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
    few = {source: made[:4] for source, made in answers.items()}
    exchanges = [answer.exchange() for damage in DAMAGES.values() for answer in mutated(damage, few)]
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
    few = {source: made[:2] for source, made in answers.items()}
    fast, slow = (Checker(Catalog.load(), accelerated=wanted) for wanted in (True, False))
    for answer in (answer for damage in DAMAGES.values() for answer in mutated(damage, few)):
        assert found(fast, answer) == found(slow, answer)


def test_what_the_accelerator_cannot_hold_is_left_to_jsonschema() -> None:
    vouches = accelerator({"properties": {"a": {"enum": [1, "x"]}}}, wanted=True)
    assert vouches({"a": "x"})
    assert not vouches({"a": "\ud800"})  # it raises UnicodeEncodeError
