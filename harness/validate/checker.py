"""Checking an exchange: request, response or error, and every event of a stream, against its schemas.

Most messages of a stream have a shape that was seen before (`harness.validate.shape`); what was found
for a shape holds for every message of that shape. Only a new shape is given to jsonschema, and where
jsonschema-rs is installed, only an invalid one. Findings name places and kinds; the caller decides with
a profile what they mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from harness.core.derive import Messages
from harness.core.dialects.fields import NOTHING
from harness.core.exchange import Exchange, Response, header
from harness.core.timeline import content_of
from harness.validate import rules
from harness.validate.accelerator import INSTALLED, IsValid, accelerator
from harness.validate.alike import Alike
from harness.validate.catalog import Catalog
from harness.validate.finding import Finding, Kind, Part
from harness.validate.forms import Schema, choice
from harness.validate.problems import Problem, problems
from harness.validate.routes import Route
from harness.validate.shape import Shape, shape, words_of
from harness.validate.unknown import unknown_fields

SHAPES = 100_000
"""Shapes that are remembered for one schema; data in member names could make any number."""
ERROR_STATUS = 400
OPENAI = "openai"
NAMES = {
    Kind.MISSING: "schema.missing",
    Kind.OPENAI_ONLY: "schema.missing",
    Kind.TYPE: "schema.type",
    Kind.VALUE: "schema.value",
    Kind.UNKNOWN_VALUE: "schema.unknown-value",
    Kind.UNKNOWN_FIELD: "schema.unknown-field",
    Kind.UNREADABLE: "schema.json",
}
"""Kind -> the rule that findings of this kind are told under."""

TOO_DEEP = Problem(Kind.UNREADABLE, (), "nested too deeply to be checked")


@dataclass(slots=True)
class Known:
    """A schema that is ready to check, with what was found for every shape so far."""

    schema: Schema
    validator: Draft202012Validator
    words: frozenset[str]
    openai: bool
    accelerated: bool
    vouches: IsValid | None = None
    found: dict[Shape, tuple[Problem, ...]] = field(default_factory=dict)

    def problems(self, instance: Any) -> tuple[Problem, ...]:
        """All problems of an instance, unknown fields included; or that it is nested too deeply."""
        try:
            return self.remembered(instance)
        except RecursionError:
            return (TOO_DEEP,)

    def remembered(self, instance: Any) -> tuple[Problem, ...]:
        """All problems of an instance, by its shape where that is known. RecursionError."""
        key = shape(instance, self.words)
        found = self.found.get(key)
        if found is None:
            found = (*self.searched(instance), *unknown_fields(self.schema, self.schema, instance))
            if len(self.found) < SHAPES:
                self.found[key] = found
        return found

    def searched(self, instance: Any) -> Iterator[Problem]:
        """The problems of an instance of a new shape; the accelerator is made ready for the first."""
        if self.vouches is None:
            self.vouches = accelerator(self.schema, wanted=self.accelerated)
        return iter(()) if self.vouches(instance) else problems(self.validator, instance, self.openai)


class Family:
    """A schema of one message, or of several kinds of message that a member (`dispatch`) tells apart.

    A document of kinds has a branch for each: `if` the member has one of some values, `then` this
    definition. Choosing the branch by the member itself saves trying all of them.
    """

    def __init__(self, schema: Schema, dispatch: str | None, *, openai: bool, accelerated: bool) -> None:
        self.dispatch = dispatch
        words = words_of(schema)
        self.words = frozenset(word.encode("utf-8", "surrogatepass") for word in words)
        self.whole = Known(schema, Draft202012Validator(schema), words, openai, accelerated)
        self.kinds: dict[str, Known] = {}
        chosen = choice(schema) if dispatch else None
        for value, then in chosen.branches.items() if chosen else ():
            kind = {"$defs": schema.get("$defs", {}), **then}
            self.kinds[value] = Known(kind, Draft202012Validator(kind), words, openai, accelerated)

    def known(self, instance: Any) -> Known:
        """The schema of a message: of its kind, or of all kinds."""
        kind = instance.get(self.dispatch) if isinstance(instance, dict) and self.dispatch else None
        return self.kinds.get(kind, self.whole) if isinstance(kind, str) else self.whole

    def problems(self, instance: Any) -> tuple[Problem, ...]:
        """All problems of a message."""
        return self.known(instance).problems(instance)


class Checker:
    """Checks exchanges with the schemas of a catalog.

    `overlay` None: chosen for each exchange. `accelerated` None: where jsonschema-rs is installed.
    """

    def __init__(
        self, catalog: Catalog, overlay: str | None = None, *, accelerated: bool | None = None
    ) -> None:
        self.catalog = catalog
        self.overlay = overlay
        self.accelerated = INSTALLED if accelerated is None else accelerated
        self.families: dict[tuple[str, str], Family] = {}

    def exchange(self, exchange: Exchange, messages: Messages) -> list[Finding]:
        """All findings of an exchange: by schema, if there is one for its endpoint, and by stream rules."""
        found = list(rules.check(exchange, messages))
        route = self.catalog.route_for(exchange)
        if route is not None:
            found += self.messages(exchange, messages, route)
        return found

    def messages(self, exchange: Exchange, messages: Messages, route: Route) -> Iterator[Finding]:
        """The findings of the request and of all messages of the answer by schema."""
        overlay = self.overlay or self.catalog.overlay_for(exchange)
        yield from self.request(exchange, route, overlay)
        if exchange.response is None:
            return
        if messages.stream:
            yield from self.events(route, overlay, messages)
        elif (body := messages.values[0]) is None:
            yield from unreadable(exchange.response, route)
        else:
            wrong = exchange.response.status >= ERROR_STATUS or is_error(body)
            yield from self.check(route.error if wrong else route.response, overlay, body, Part.RESPONSE)

    def request(self, exchange: Exchange, route: Route, overlay: str) -> Iterator[Finding]:
        """The findings of a request that has a schema and a JSON body."""
        request = exchange.request
        if route.request is None or not request.body:
            return
        body = rules.request_of(exchange)
        if body is not NOTHING:
            yield from self.check(route.request, overlay, body, Part.REQUEST)
        elif "json" in (header(request.headers, "content-type") or "json"):
            yield Finding("schema.json", Kind.UNREADABLE, Part.REQUEST, "the body is no JSON object")

    def events(self, route: Route, overlay: str, messages: Messages) -> Iterator[Finding]:
        """The findings of all events of a stream; what is no JSON is a matter of the transport's rules."""
        family = self.family(route.event, overlay, route.dispatch)
        alike = Alike[tuple[Problem, ...]](family.words if family else frozenset())
        pairs = zip(messages.values, messages.events, strict=True)
        for number, (message, event) in enumerate(pairs, start=1):
            if message is None:
                continue
            if route.dispatch is None and is_error(message):
                yield from told(self.family(route.error, overlay, None), message, Part.EVENT, number)
            elif family:
                found = alike.find(event.data)
                if found is None:
                    found = family.problems(message)
                    alike.learn(event.data, found)
                if found:
                    yield from findings(found, message, Part.EVENT, number)

    def check(self, name: str | None, overlay: str, instance: Any, part: Part) -> Iterator[Finding]:
        """The findings of a message that comes alone."""
        return told(self.family(name, overlay, None), instance, part)

    def family(self, name: str | None, overlay: str, dispatch: str | None) -> Family | None:
        """A schema under an overlay, made ready once; None where there is none."""
        if name is None:
            return None
        key = (name, overlay)
        if key not in self.families:
            schema = self.catalog.schema(name, overlay)
            self.families[key] = Family(
                schema, dispatch, openai=overlay == OPENAI, accelerated=self.accelerated
            )
        return self.families[key]


def told(family: Family | None, instance: Any, part: Part, event: int | None = None) -> Iterator[Finding]:
    """The findings of one message; none where there is no schema."""
    return findings(family.problems(instance) if family else (), instance, part, event)


def findings(found: tuple[Problem, ...], instance: Any, part: Part, event: int | None) -> Iterator[Finding]:
    """Problems of a message as findings."""
    for one in found:
        yield Finding(NAMES[one.kind], one.kind, part, one.told(instance), event, one.pointer)


def is_error(message: Any) -> bool:
    """Whether a message is an error although the status says that all is well."""
    return isinstance(message, dict) and "error" in message and bool(message["error"]) and "id" not in message


def unreadable(response: Response, route: Route) -> Iterator[Finding]:
    """A body that should be JSON and is none; the bodies of errors are anything."""
    if route.response and response.status < ERROR_STATUS and content_of(response).body:
        yield Finding("schema.json", Kind.UNREADABLE, Part.RESPONSE, "the body is no JSON")
