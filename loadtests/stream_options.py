"""Plain Locust: which requests to make, said by a few options of its command line."""

from pathlib import Path

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from harness.core.errors import BadInput
from harness.load.calls import recorded_calls
from harness.load.care import is_private
from harness.load.place import Place, place_of
from harness.load.plan import Call, Closed, Plan
from harness.load.prompts import Maker
from harness.load.target import key_of
from harness.load.words import Api

DRAIN_S = 10.0
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


def plan_of_options(environment: Environment) -> tuple[Plan, list[Call]]:
    """The plan and the calls. BadInput: no host was given, or the recording cannot be used."""
    options = environment.parsed_options
    if not environment.host or options is None:
        raise BadInput("no target: give its base URL with --host, like http://127.0.0.1:8000")
    place, api = place_of(environment.host), Api(options.api)
    if options.recording:
        calls = [one.call for one in recorded_calls(Path(options.recording), place, options.model or None)]
    else:
        calls = [Maker(place, api, options.model).of_text(options.prompt, None, options.output_tokens)]
    return plan_for(place, api, environment.stop_timeout or DRAIN_S), calls


def plan_for(place: Place, api: Api, drain_s: float) -> Plan:
    """The plan: Locust's own users are the concurrency; the key is for its own provider alone."""
    key = key_of(place, api, private=is_private(place.host), variable=None)
    return Plan(
        target=place.url,
        loop=Closed(concurrency=1),
        drain_s=drain_s,
        key_variable=key.variable,
        key_header=key.header,
    )
