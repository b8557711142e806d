"""Plain Locust: which requests to make, said by a few options of its command line."""

import json
from typing import Any

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from harness.core.errors import BadInput
from harness.load.plan import Call, Closed, Plan
from harness.load.words import Api

DRAIN_S = 10.0
PROMPT = "Tell a story about a lighthouse."


def add_options(parser: LocustArgumentParser) -> None:
    """The options of plain Locust."""
    group = parser.add_argument_group("Streaming requests")
    group.add_argument("--api", choices=[str(api) for api in Api], default="chat", help="Protocol (chat)")
    group.add_argument("--model", default="", help="Model to ask for")
    group.add_argument("--prompt", default=PROMPT, help="What to ask")
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


def plan_of_options(environment: Environment) -> tuple[Plan, list[Call]]:
    """The plan and the calls. BadInput: no host was given."""
    options = environment.parsed_options
    if not environment.host or options is None:
        raise BadInput("no target: give its base URL with --host, like http://127.0.0.1:8000")
    path, body = FORMS[Api(options.api)](options.model, options.prompt, options.output_tokens)
    call = Call(path=path, body=json.dumps({**body, "stream": True}), most_tokens_out=options.output_tokens)
    plan = Plan(
        target=environment.host.rstrip("/"),
        loop=Closed(concurrency=1),
        drain_s=environment.stop_timeout or 10.0,
    )
    return plan, [call]
