"""Subjects: what of a request is compared, after the rules. The table of matchers is `MATCHERS`."""

import hashlib
import json
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from harness.core.canonical import Json, by_value, canonical, canonical_query, flatten, parse_json, plain_body
from harness.core.dialects import recognise
from harness.core.difference import fingerprint
from harness.core.exchange import Request
from harness.core.matching.forms import MULTIPART, by_name, form_of
from harness.core.matching.normal import Normaliser
from harness.core.matching.paths import Drop, Drops, label_of, parse_path
from harness.core.matching.presets import HABITS, Habits
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Preset

type Matcher = Callable[[Request], dict[str, Json]]
"""What of a request is compared at one place of it."""


@dataclass(frozen=True)
class Subject:
    """A request as it is compared: a tree of places, names and values."""

    value: Json

    @cached_property
    def key(self) -> str:
        """The SHA-256 (hex) of it: requests with equal keys match."""
        text = json.dumps(self.value, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def numbers(self) -> "array[int]":
        """Its leaves as a fingerprint (`harness.core.difference`)."""
        return fingerprint(self.leaves)

    @cached_property
    def leaves(self) -> dict[str, Any]:
        """Its leaves by their JSON pointers."""
        return flatten(self.value)

    @property
    def numbered(self) -> list[tuple[int, Any]]:
        """Its leaves, each with its number of the fingerprint."""
        return list(zip(self.numbers, self.leaves.values(), strict=True))

    @cached_property
    def fields(self) -> dict[str, Any]:
        """Its leaves by the names that people read: `query.limit`, `body/messages/0/content`."""
        return {label_of(pointer): leaf for pointer, leaf in self.leaves.items()}


def method(request: Request) -> dict[str, Json]:
    """The method, in any case."""
    return {"method": request.method.upper()}


def path(request: Request) -> dict[str, Json]:
    """The path that the client asked for, without the query."""
    return {"path": request.path.partition("?")[0]}


def query(request: Request) -> dict[str, Json]:
    """The query's pairs by name."""
    pairs = canonical_query(request.path.partition("?")[2])
    return {"query": by_name(list(pairs))} if pairs else {}


def body(request: Request) -> dict[str, Json]:
    """The body without its encoding: canonical JSON, a form's fields, or its text. Empty: no place."""
    plain = plain_body(request.body, request.headers)
    value = parse_json(plain)
    if value is not None:
        return {"body": value}
    form = form_of(plain, request.headers)
    return dict([form]) if form else body_text(request)


def body_text(request: Request) -> dict[str, Json]:
    """The body as text, whatever it holds."""
    plain = plain_body(request.body, request.headers)
    return {"body": plain.decode("utf-8", "surrogateescape")} if plain else {}


def headers_of(names: tuple[str, ...]) -> Matcher:
    """The matcher of these headers: all values of each as one list (RFC 9110, 5.3), without a boundary."""

    def headers(request: Request) -> dict[str, Json]:
        values: dict[str, list[str]] = {}
        for key, value in request.headers:
            if (name := key.lower()) in names:
                is_form = value.strip().lower().startswith(MULTIPART)
                values.setdefault(name, []).append(MULTIPART if is_form else value.strip())
        joined: dict[str, Json] = {name: ", ".join(values[name]) for name in sorted(values)}
        return {"header": joined} if joined else {}

    return headers


MATCHERS: Mapping[str, Matcher] = {"method": method, "path": path, "query": query, "body": body}
"""Place -> its matcher; that of headers is made by `headers_of`."""


class Matching:
    """Makes subjects by one set of rules."""

    def __init__(self, rules: MatchRules | None = None) -> None:
        self.rules = rules = rules or MatchRules()
        self.matchers = [MATCHERS[place] for place in rules.match_on if place in MATCHERS]
        if rules.headers:
            self.matchers.append(headers_of(rules.headers))
        self.drops = {name: self.drops_of(habits) for name, habits in {"": Habits(), **HABITS}.items()}

    def drops_of(self, habits: Habits) -> Drops:
        """What is left out of the requests of a dialect."""
        strict, lenient = (self.rules.preset is preset for preset in (Preset.STRICT, Preset.LENIENT))
        ignored = (*self.rules.ignore, *(habits.aside if lenient else ()))
        defaults = {**({} if strict else habits.defaults), **self.rules.defaults}
        drops = [Drop(parse_path(text)) for text in ignored]
        drops += [Drop(parse_path(text), by_value(canonical(value))) for text, value in defaults.items()]
        return Drops(drops)

    def subject(self, request: Request) -> Subject:
        """The subject of a request that is masked. JSON nested deeper than Python recurses counts as text."""
        try:
            made = Subject(self.compared(request, self.matchers))
            _ = made.key, made.numbers
        except RecursionError:
            matchers = [body_text if matcher is body else matcher for matcher in self.matchers]
            made = Subject(self.compared(request, matchers))
        return made

    def compared(self, request: Request, matchers: list[Matcher]) -> Json:
        """What is compared of a request, after all rules."""
        found: dict[str, Json] = {}
        for matcher in matchers:
            found |= matcher(request)
        drops = self.drops.get(dialect_at(request.method, request.path), self.drops[""])
        whole: Json = drops.without(found)
        return Normaliser(self.rules.normalise).value(whole) if self.rules.normalise else whole


PLAIN = Matching(MatchRules(preset=Preset.STRICT))


def fields_of(request: Request) -> dict[str, Any]:
    """The fields of a request, of which no rule takes any away."""
    return PLAIN.subject(request).fields


def habits_of(request: Request) -> Habits:
    """What the dialect of a request takes for the same."""
    return HABITS.get(dialect_at(request.method, request.path), Habits())


@lru_cache(maxsize=4096)
def dialect_at(method: str, path: str) -> str:
    """The dialect by the path that the client asked for, which recorded and new requests both have."""
    return recognise(Request(method, "", path=path)).name
