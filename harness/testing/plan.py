"""What a test asks for: the arguments of `@pytest.mark.harness`, under VCR.py's names where it has one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import BadInput
from harness.core.fault_rules import Rule, rules_of
from harness.core.matching.rules import MatchRules, over, words_of
from harness.core.matching.words import Repeat
from harness.core.record_mode import RecordMode
from harness.replay.match import Order

UPSTREAMS = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}
"""What is recorded where nobody says which APIs."""


class Plan(BaseModel):
    """How a test's recording is served or made; speeds as in `harness replay` (0: at once).

    Matching is that of `harness replay`: `match_on`, `ignore`, `normalise`, `defaults`, `preset`,
    `fuzzy`, on top of the rules beside the recording; `faults` are rules of faults. What `filter_...`
    names is masked in what is recorded, and then in requests. A test fails where a request misses, unless
    `allow_misses`; unused exchanges are told of, unless `allow_unused`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    record_mode: RecordMode = RecordMode.NONE
    speed: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    keep_connect: bool = False
    match_on: tuple[str, ...] | None = None
    ignore: tuple[str, ...] | None = None
    normalise: tuple[str, ...] | None = None
    defaults: dict[str, Any] | None = None
    preset: str | None = None
    fuzzy: float | None = None
    repeat: Repeat | None = None
    allow_playback_repeats: bool = True
    seed: int = 0
    on_miss: Literal["fail", "simulate"] = "fail"
    faults: tuple[str | dict[str, Any], ...] = ()
    allow_misses: bool = False
    allow_unused: bool = False
    filter_headers: tuple[str, ...] = ()
    filter_query_parameters: tuple[str, ...] = ()
    filter_post_data_parameters: tuple[str, ...] = ()
    upstreams: dict[str, str] = Field(default=UPSTREAMS, min_length=1)

    def rules(self, beside: MatchRules) -> MatchRules:
        """The rules of matching, over those that lie beside the recording. BadInput: one is none."""
        names = ("match_on", "ignore", "normalise", "defaults", "preset", "fuzzy")
        with told():
            said = {name: value for name in names if (value := getattr(self, name)) is not None}
            return over(beside, said)

    def order(self) -> Order:
        """In which order equal requests are answered."""
        if self.repeat is not None:
            return Order(self.repeat, self.seed)
        return Order(Repeat.LAST if self.allow_playback_repeats else Repeat.SEQUENCE)

    def fault_rules(self) -> tuple[Rule, ...]:
        """The rules of faults. BadInput: one is none."""
        try:
            return tuple(rules_of({"faults": list(self.faults)}))
        except ValueError as error:
            raise BadInput(f"the marker's faults: {error}") from None

    def masks(self) -> list[str]:
        """The options of `harness record` for what is filtered."""
        filters = {
            "--redact-header": self.filter_headers,
            "--redact-query": self.filter_query_parameters,
            "--redact-field": self.filter_post_data_parameters,
        }
        return [word for option, names in filters.items() for name in names for word in (option, name)]


def plan_of(said: Mapping[str, Any]) -> Plan:
    """The plan of some arguments. BadInput: one is unknown, or of another type."""
    if unknown := next((name for name in said if name not in Plan.model_fields), None):
        raise BadInput(f"the marker has no argument {unknown!r}; there are {', '.join(Plan.model_fields)}")
    with told():
        return Plan.model_validate(dict(said))


@contextmanager
def told() -> Iterator[None]:
    """What a model finds wrong, in a line."""
    try:
        yield
    except ValidationError as error:
        name, _, words = words_of(error).partition(": ")
        raise BadInput(f"the marker's {name.replace('-', '_')}: {words}") from None
