"""What a test asks for: the arguments of `@pytest.mark.harness`, under VCR.py's names where it has one."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import BadInput
from harness.core.record_mode import RecordMode

UPSTREAMS = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}
"""What is recorded where nobody says which APIs."""


class Plan(BaseModel):
    """How a test's recording is served or made; speeds as in `harness replay` (0: at once).

    Matching is that of `harness replay`: `match_on`, `ignore`, `normalise`, `defaults`, `preset`,
    `fuzzy`, on top of the rules beside the recording. `filter_...` masks what is named in what is
    recorded, and then also in requests. A test fails where a request misses, unless `allow_misses`;
    unused exchanges are told of, unless `allow_unused`.
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
    repeat: str = "last"
    allow_playback_repeats: bool = True
    seed: int = 0
    on_miss: Literal["fail", "simulate"] = "fail"
    allow_misses: bool = False
    allow_unused: bool = False
    filter_headers: tuple[str, ...] = ()
    filter_query_parameters: tuple[str, ...] = ()
    filter_post_data_parameters: tuple[str, ...] = ()
    upstreams: dict[str, str] = UPSTREAMS

    def rules(self) -> dict[str, Any]:
        """The rules of matching that are given."""
        names = ("match_on", "ignore", "normalise", "defaults", "preset", "fuzzy")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

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
    try:
        return Plan.model_validate(dict(said))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(Plan.model_fields)
            raise BadInput(f"the marker has no argument {name!r}; there are {known}") from None
        raise BadInput(f"the marker's {name}: {first['msg'].removeprefix('Value error, ')}") from None
