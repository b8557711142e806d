"""An answer as the rules see it: its messages, and what follows from them, worked out once for all rules.

The law of this file: everything here can be wrong in every way (any JSON, any order), so a type is
asked for before it is used. Events are numbered from 1; 0 is the message of a plain answer.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from harness.core.canonical import plain_body
from harness.core.derive import Messages
from harness.core.dialects.fields import NOTHING, JsonObject
from harness.core.exchange import Exchange, State
from harness.core.json_text import parse

DONE = b"[DONE]"
"""The literal data that ends OpenAI's older streams."""

CUT = frozenset(
    {
        State.UPSTREAM_CUT,
        State.UPSTREAM_ERROR,
        State.CONNECT_FAILED,
        State.CLIENT_ABORT,
        State.INTERRUPTED,
    }
)
"""The recorder saw these end early. `unterminated` is none: its end was quiet, its terminator is missing."""

type Numbered = tuple[int, JsonObject]
"""The number of an event, and its JSON object."""


class Stream:
    """The answer of an exchange that has a response.

    - `messages`: the parsed data of each event, of a plain answer its body alone; None: no JSON.
    - `objects`: those that are JSON objects, with their numbers.
    - `dones`: the numbers of the `[DONE]` events.
    - `cut`: it ended early, so what is missing at its end is nobody's fault.
    - `ended`: it came to an end of its own; neither cut nor ended by an error object.
    """

    def __init__(self, exchange: Exchange, answer: Messages) -> None:
        self.exchange = exchange
        self.answer = answer
        self.messages = answer.values
        first = 1 if answer.stream else 0
        self.objects: list[Numbered] = [
            (number, value) for number, value in enumerate(self.messages, first) if type(value) is dict
        ]
        self.cut = exchange.state in CUT
        self.ended = not self.cut and answer.error is None
        self._made: dict[Callable[[Stream], Any], Any] = {}

    def once[T](self, make: Callable[["Stream"], T]) -> T:
        """What `make` makes of this stream; made at the first call, the same after."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast("T", self._made[make])

    @cached_property
    def dones(self) -> list[int]:
        """The numbers of the events whose data is `[DONE]`."""
        events = self.answer.events
        unread = [number for number, value in enumerate(self.messages) if value is None]
        return [number + 1 for number in unread if number < len(events) and events[number].data == DONE]

    @cached_property
    def asked(self) -> JsonObject:
        """The JSON object of the request; an empty one where it is none."""
        return request_of(self.exchange)


def request_of(exchange: Exchange) -> JsonObject:
    """The JSON object of a request; `NOTHING` itself where it is none."""
    request = exchange.request
    try:
        value = parse(plain_body(request.body, request.headers))
    except ValueError:
        return NOTHING
    return value if isinstance(value, dict) else NOTHING
