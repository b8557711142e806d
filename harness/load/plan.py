"""The plan of a run: everything a worker must know, and nothing that is secret.

The law of this file: a plan is made once by `harness load` (or by a Locust file without it) and never
changes while the run lasts. It goes to workers on other machines as it is, so it holds no API key: a
worker reads its own environment (`key_variable`). Times are seconds in the plan, since people write
and read it, and nanoseconds everywhere else.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """A model of ours: unknown members are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Closed(Frozen):
    """A closed loop: so many requests are always under way; the next is sent when one ends.

    `ramp_s`: the users start evenly spread over this time.
    """

    kind: Literal["closed"] = "closed"
    concurrency: int = Field(ge=1)
    ramp_s: float = Field(default=0.0, ge=0)


class Open(Frozen):
    """An open loop: requests are sent at the times in the folder's `arrivals`, whatever the server does.

    `most_open`: no more than this many at once on all workers together (None: no bound); what would be
    more waits, and its schedule delay says so.
    """

    kind: Literal["open"] = "open"
    most_open: int | None = Field(default=None, ge=1)


class Api(StrEnum):
    """The protocols whose requests can be made up; recorded requests may be of any."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"


class Plan(Frozen):
    """A run. Counts and limits are those of all workers together.

    - `target`: base URL without a slash at its end; a call's path is put behind it.
    - `key_variable`: the variable of the environment that holds the API key (None: send none).
    - `key_header`: the header that carries it: `authorization` (as a bearer token) or `x-api-key`.
    - `workers`: how many processes share the run.
    - `request_count`, `duration_s`: the measured part ends with the first that is reached; an open
      loop also ends with its arrivals.
    - `warmup_requests`, `warmup_s`: what is sent before either is passed counts as warm-up.
    - `drain_s`: how long requests under way may go on after the last one was sent.
    - `timeout_s`: deadline of a request from its sending; `stall_s`: longest silence within it.
    - `max_requests`, `max_tokens`: nothing more is sent once this many are reached.
    - `save_events`: keep the offset of every event.
    - `kernel_stamps`: use the kernel's receive stamps where the connection allows it.
    - `ca_file`: certificate authorities to trust beside the system's.
    - `reducer`: the command that reduces a journal (`harness.load.reducer`); () is the usual one.
    """

    target: str
    loop: Closed | Open = Field(discriminator="kind")
    workers: int = Field(default=1, ge=1)
    request_count: int | None = Field(default=None, ge=1)
    duration_s: float | None = Field(default=None, gt=0)
    warmup_requests: int = Field(default=0, ge=0)
    warmup_s: float = Field(default=0.0, ge=0)
    drain_s: float = Field(default=60.0, ge=0)
    timeout_s: float = Field(default=600.0, gt=0)
    stall_s: float | None = Field(default=None, gt=0)
    max_requests: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    keep_alive: bool = True
    kernel_stamps: bool = True
    save_events: bool = False
    key_variable: str | None = None
    key_header: Literal["authorization", "x-api-key"] = "authorization"
    ca_file: str | None = None
    reducer: tuple[str, ...] = ()


class Call(Frozen):
    """One request to make, as a line of the folder's `calls`: what is sent, and what is known of it.

    `path` stands behind the target's own path. `headers` are without host, length and keys. `body` is
    text, since all of these APIs speak JSON. `tokens_in` and `most_tokens_out` are what the request
    holds and allows at most, as far as it says (None: unknown).
    """

    path: str
    body: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    tokens_in: int | None = None
    most_tokens_out: int | None = None
    stream: bool = True
