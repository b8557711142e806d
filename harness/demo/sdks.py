"""The official SDKs making the calls of `harness.demo.conversations`.

Made against the model server and against a replay of it, a call gives plain data (dicts, lists,
strings, numbers) that compares with `==`, field by field. `python -m harness.demo.sdks FILE` makes all
of them at the base URLs of the environment (`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`), prints the name
of each as it ends, and writes what it got as JSON.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from anthropic import APIStatusError as AnthropicError
from openai import APIStatusError as OpenAIError
from openai import AsyncOpenAI, OpenAI

from harness.demo.conversations import CONVERSATIONS, Call

KEY = "nobody-checks-this-key"

type Answer = Any
"""What a call gave: one JSON value, the list of a stream's events, or `{"raised": ...}`."""


@dataclass(frozen=True)
class Clients:
    """The clients of one side, all synchronous or all asynchronous.

    `server` is an OpenAI client at the root of the server, for paths without `/v1`.
    """

    openai: OpenAI | AsyncOpenAI
    anthropic: Anthropic | AsyncAnthropic
    server: OpenAI | AsyncOpenAI

    def method(self, call: Call) -> Any:
        """The bound method of a call."""
        return attrgetter(call.method)(getattr(self, call.client))


OPTIONS: Mapping[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 60}
"""A retry would hide an error."""


@contextmanager
def sync_clients(openai_url: str, anthropic_url: str) -> Iterator[Clients]:
    """Clients that block; `openai_url` ends with `/v1`."""
    with (
        OpenAI(base_url=openai_url, **OPTIONS) as first,
        Anthropic(base_url=anthropic_url, **OPTIONS) as second,
        OpenAI(base_url=openai_url.removesuffix("/v1"), **OPTIONS) as third,
    ):
        yield Clients(first, second, third)


@asynccontextmanager
async def async_clients(openai_url: str, anthropic_url: str) -> AsyncIterator[Clients]:
    """The same for asyncio."""
    async with (
        AsyncOpenAI(base_url=openai_url, **OPTIONS) as first,
        AsyncAnthropic(base_url=anthropic_url, **OPTIONS) as second,
        AsyncOpenAI(base_url=openai_url.removesuffix("/v1"), **OPTIONS) as third,
    ):
        yield Clients(first, second, third)


def data_of(answer: Any) -> Answer:
    """An object of an SDK as plain data, with the fields that the SDK does not know."""
    return answer.model_dump(mode="json", warnings=False) if hasattr(answer, "model_dump") else answer


def raised(error: OpenAIError | AnthropicError) -> Answer:
    """An error of an SDK as plain data."""
    return {"raised": type(error).__name__, "status": error.status_code, "body": error.body}


STATUS_ERRORS = (OpenAIError, AnthropicError)


def play(call: Call, clients: Clients) -> Answer:
    """Make a call with synchronous clients."""
    try:
        answer = clients.method(call)(**call.arguments)
        if not call.streams:
            return data_of(answer)
        with answer:
            return [data_of(event) for event in islice(answer, call.take)]
    except STATUS_ERRORS as error:
        return raised(error)


async def play_async(call: Call, clients: Clients) -> Answer:
    """Make a call with asynchronous clients."""
    try:
        answer = await clients.method(call)(**call.arguments)
        if not call.streams:
            return data_of(answer)
        events = []
        async with answer:
            async for event in answer:
                events.append(data_of(event))
                if len(events) == call.take:
                    break
    except STATUS_ERRORS as error:
        return raised(error)
    return events


def main() -> int:
    """Play all of them against the servers of the environment; write the answers to the file named."""
    answers = {}
    with sync_clients(os.environ["OPENAI_BASE_URL"], os.environ["ANTHROPIC_BASE_URL"]) as clients:
        for call in CONVERSATIONS:
            answers[call.name] = play(call, clients)
            print(call.name, flush=True)
    Path(sys.argv[1]).write_text(json.dumps(answers, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
