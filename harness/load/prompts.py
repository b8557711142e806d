"""Prompts as calls: those of a file, and those that are made up to a length in tokens.

The law of this file: pure but for the reading of the file; chance comes from a seed. A prompt that is to
hit a server's prefix cache starts with the same words in every request, one that is to miss it differs
from the second word on.
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.core.json_text import compact, healed
from harness.load.apis import FORMS, Body, Server, limit_of, limited, streams
from harness.load.place import Place
from harness.load.plan import Call
from harness.load.tokens import Measure
from harness.load.traces import Row, Trace
from harness.load.words import Api, Prefix


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes calls of an API. `extra` are fields that every body gets; an empty `model` is not named."""

    place: Place
    api: Api
    model: str
    server: Server = Server.UNKNOWN
    extra: tuple[tuple[str, Any], ...] = ()

    def of_text(self, text: str, tokens_in: int | None, tokens_out: int | None) -> Call:
        """A call with one prompt."""
        return self.made(FORMS[self.api].text(text), tokens_in, tokens_out)

    def made(self, prompt: Body, tokens_in: int | None, tokens_out: int | None) -> Call:
        """A call with a prompt as this API has it."""
        named = {"model": self.model} if self.model else {}
        body = {**named, **prompt, **FORMS[self.api].fixed}
        if tokens_out is not None:
            body = limited(body, self.api, self.server, tokens_out)
        return self.whole(body | dict(self.extra), tokens_in)

    def whole(self, body: Body, tokens_in: int | None = None) -> Call:
        """A call with a whole body."""
        form = FORMS[self.api]
        path = self.place.api_path(form.path) if form.versioned else form.path
        return Call(
            path=path,
            body=healed(compact(body)),
            headers=form.headers,
            tokens_in=tokens_in,
            most_tokens_out=limit_of(body),
            stream=streams(body, self.api),
        )


@dataclass(frozen=True, slots=True)
class Length:
    """Lengths in tokens: normally distributed around a mean, at least `least`. A spread of 0: all equal."""

    mean: int
    spread: float = 0.0
    least: int = 1

    def draw(self, chance: random.Random) -> int:
        """One length."""
        drawn = round(chance.gauss(self.mean, self.spread)) if self.spread else self.mean
        return max(drawn, self.least)


@dataclass(frozen=True, slots=True)
class Shape:
    """What made-up prompts are like: lengths in tokens, of which `prefix` are what the cache may know."""

    tokens_in: Length
    tokens_out: Length
    prefix: int = 0
    cache: Prefix = Prefix.HIT


def synthesised(maker: Maker, measure: Measure, shape: Shape, number: int, seed: int) -> list[Call]:
    """So many calls of a shape. BadInput: a prompt is shorter than what a template adds, or its prefix."""
    if measure.exact and shape.tokens_in.mean < measure.base:
        raise BadInput(
            f"--input-tokens {shape.tokens_in.mean}: on this server a prompt of one word already has "
            f"{measure.base} tokens, with the chat template"
        )
    if shape.prefix > shape.tokens_in.mean:
        raise BadInput(f"--prefix-tokens {shape.prefix} is more than --input-tokens {shape.tokens_in.mean}")
    chance = random.Random(f"{seed} prompts")  # noqa: S311
    shared = random.Random(f"{seed} prefix")  # noqa: S311
    beginning = measure.beginning()
    if shape.prefix and shape.cache is Prefix.HIT:
        beginning += measure.words_of(shared, shape.prefix - measure.base)
    return [one_call(maker, measure, shape, beginning, chance) for _ in range(number)]


def one_call(
    maker: Maker, measure: Measure, shape: Shape, beginning: Sequence[str], chance: random.Random
) -> Call:
    """A call whose text starts with a beginning and goes on by chance."""
    wanted = max(shape.tokens_in.draw(chance), measure.length(beginning))
    words = [*beginning, *measure.words_of(chance, wanted - measure.length(beginning))]
    return maker.of_text(" ".join(words), measure.length(words), shape.tokens_out.draw(chance))


def traced(maker: Maker, measure: Measure, trace: Trace, seed: int) -> list[Call]:
    """A call for each request of a trace, with its lengths, and its shared prefixes where it knows them.

    A request for which the trace has no answer (0 tokens: it failed) asks for one token.
    """

    @lru_cache(maxsize=4096)
    def block(name: int, size: int) -> tuple[str, ...]:
        return tuple(measure.words_of(random.Random(f"{seed} block {name}"), size))  # noqa: S311

    calls = []
    for number, row in enumerate(trace.rows):
        words = [*measure.beginning(), *prefix_of(trace, row, measure, block)]
        wanted = max(row.tokens_in, measure.base)
        own = random.Random(f"{seed} row {number}")  # noqa: S311
        words = words[: wanted - measure.base + 1]
        words += measure.words_of(own, wanted - measure.length(words))
        calls.append(maker.of_text(" ".join(words), measure.length(words), max(row.tokens_out, 1)))
    return calls


def prefix_of(
    trace: Trace, row: Row, measure: Measure, block: Callable[[int, int], tuple[str, ...]]
) -> Iterator[str]:
    """The words of the blocks of a request behind its first word, which is in the first block.

    An id stands at one place only, since it stands for all before it, so its size is always the same.
    """
    for place, name in enumerate(row.blocks):
        yield from block(name, trace.block if place else trace.block - measure.base)


def read_prompts(path: Path, maker: Maker, tokens_out: int | None) -> list[Call]:
    """The calls of a prompt file: `.jsonl`, or a prompt a line. BadInput with the number of the line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: is the path right?") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no prompt file: it is no UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    calls = list(calls_of(path, lines, maker, tokens_out))
    if not calls:
        raise BadInput(f"{path} holds no prompt: it is empty")
    return calls


def calls_of(path: Path, lines: Iterable[str], maker: Maker, tokens_out: int | None) -> Iterator[Call]:
    """A call for each line that is not blank."""
    reads = json_call if path.suffix in (".jsonl", ".ndjson") else text_call
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield reads(line.strip(), maker, tokens_out)
            except ValueError as error:
                raise BadInput(f"{path}, line {number}: {error}") from None


def text_call(line: str, maker: Maker, tokens_out: int | None) -> Call:
    """A line that is a prompt."""
    return maker.of_text(line, None, tokens_out)


def json_call(line: str, maker: Maker, tokens_out: int | None) -> Call:
    """A line with `prompt`, `messages` or `body`. ValueError says what is wrong."""
    value = parsed(line)
    known = [name for name in READERS if name in value]
    if len(known) != 1:
        raise ValueError("has none of 'prompt', 'messages' and 'body'" if not known else f"has {both(known)}")
    return READERS[known[0]](value[known[0]], maker, tokens_out)


def both(names: Sequence[str]) -> str:
    """Two names, where one should be."""
    return " and ".join(f"'{name}'" for name in names) + ": give one of them"


def parsed(line: str) -> Body:
    """A JSON object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is no JSON object")
    return value


def prompt_call(value: Any, maker: Maker, tokens_out: int | None) -> Call:
    """A prompt."""
    if not isinstance(value, str) or not value:
        raise ValueError("'prompt' is no text")
    return maker.of_text(value, None, tokens_out)


def messages_call(value: Any, maker: Maker, tokens_out: int | None) -> Call:
    """A conversation."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise ValueError("'messages' is no list of messages")
    form = FORMS[maker.api]
    if form.messages is None:
        raise ValueError(f"has 'messages', which --api {maker.api} does not know: give 'prompt'")
    return maker.made(form.messages(value), None, tokens_out)


def body_call(value: Any, maker: Maker, _tokens_out: int | None) -> Call:
    """A whole request, which is sent as it is."""
    if not isinstance(value, dict):
        raise ValueError("'body' is no JSON object")
    return maker.whole(value)


READERS: dict[str, Callable[[Any, Maker, int | None], Call]] = {
    "prompt": prompt_call,
    "messages": messages_call,
    "body": body_call,
}
