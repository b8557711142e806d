"""Plain Locust: which requests to make, said by a few options of its command line."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, State
from harness.core.timeline import content_of
from harness.load.plan import Api, Call, Closed, Plan
from harness.store.open import open_recording

DRAIN_S = 10.0
TOLD = frozenset({"content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta"})
PROMPT = "Tell a story about a lighthouse."


def add_options(parser: LocustArgumentParser) -> None:
    """The options of plain Locust."""
    group = parser.add_argument_group("Streaming requests")
    group.add_argument("--api", choices=[str(api) for api in Api], default="chat", help="Protocol (chat)")
    group.add_argument("--model", default="", help="Model to ask for")
    group.add_argument("--prompt", default=PROMPT, help="What to ask")
    group.add_argument(
        "--from", dest="recording", default="", help="Recording whose requests to make instead"
    )
    group.add_argument("--output-tokens", type=int, default=128, help="Tokens to ask for at most (128)")


def chat(model: str, prompt: str, most: int) -> tuple[str, dict[str, Any]]:
    """Path and body for OpenAI chat."""
    messages = [{"role": "user", "content": prompt}]
    options = {"stream_options": {"include_usage": True}}
    return "/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": most, **options}


def completions(model: str, prompt: str, most: int) -> tuple[str, dict[str, Any]]:
    """Path and body for OpenAI completions."""
    options = {"stream_options": {"include_usage": True}}
    return "/v1/completions", {"model": model, "prompt": prompt, "max_tokens": most, **options}


def responses(model: str, prompt: str, most: int) -> tuple[str, dict[str, Any]]:
    """Path and body for OpenAI Responses."""
    return "/v1/responses", {"model": model, "input": prompt, "max_output_tokens": most}


def anthropic(model: str, prompt: str, most: int) -> tuple[str, dict[str, Any]]:
    """Path and body for Anthropic."""
    messages = [{"role": "user", "content": prompt}]
    return "/v1/messages", {"model": model, "messages": messages, "max_tokens": most}


def ollama(model: str, prompt: str, most: int) -> tuple[str, dict[str, Any]]:
    """Path and body for Ollama."""
    messages = [{"role": "user", "content": prompt}]
    return "/api/chat", {"model": model, "messages": messages, "options": {"num_predict": most}}


FORMS = {
    Api.CHAT: chat,
    Api.COMPLETIONS: completions,
    Api.RESPONSES: responses,
    Api.ANTHROPIC: anthropic,
    Api.OLLAMA: ollama,
}


def recorded_calls(recording: Path) -> list[Call]:
    """The streaming requests of a recording that were answered. BadInput: there are none."""
    with open_recording(recording) as opened:
        found = [call_of(exchange.request) for exchange in opened.exchanges() if is_streamed(exchange)]
    if not found:
        raise BadInput(f"{recording} holds no request that was answered with a stream")
    return found


def is_streamed(exchange: Exchange) -> bool:
    """Whether an exchange was answered with a stream, to its end."""
    ended = exchange.state is State.COMPLETE and exchange.response is not None
    return ended and bool(exchange.response and content_of(exchange.response).framing)


def call_of(request: Request) -> Call:
    """A recorded request, to be made again; of its headers those that say what it is."""
    headers = tuple((name, value) for name, value in request.headers if name.lower() in TOLD)
    return Call(path=request.path, body=request.body.decode(), method=request.method, headers=headers)


def made_up_call(options: Namespace) -> Call:
    """The request that the options describe."""
    path, body = FORMS[Api(options.api)](options.model, options.prompt, options.output_tokens)
    return Call(path=path, body=json.dumps({**body, "stream": True}), most_tokens_out=options.output_tokens)


def plan_of_options(environment: Environment) -> tuple[Plan, list[Call]]:
    """The plan and the calls. BadInput: no host was given, or the recording cannot be used."""
    options = environment.parsed_options
    if not environment.host or options is None:
        raise BadInput("no target: give its base URL with --host, like http://127.0.0.1:8000")
    calls = recorded_calls(Path(options.recording)) if options.recording else [made_up_call(options)]
    drain_s = environment.stop_timeout or DRAIN_S
    return Plan(target=environment.host.rstrip("/"), loop=Closed(concurrency=1), drain_s=drain_s), calls
