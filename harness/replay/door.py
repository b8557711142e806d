"""The door: what a request passes before the site answers it, and what its answer passes on the way out.

In this order: the pages of `/__admin/` (`harness.replay.desk`); API keys and limits (`harness.replay.gate`);
faults that come before any answer; the site; then the fault of the answer, the speed that the request asks
for, and the headers of limits; and the journal. Where none of this is asked for, it costs a look at the
request's headers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.core.admin import Result
from harness.core.api_forms import Api, api_of, own_error
from harness.core.derive import derive
from harness.core.exchange import Headers
from harness.core.fault_rules import Rule, fault_in
from harness.core.spoiling import MARK
from harness.core.visible import visible
from harness.replay.answers import Recorded, instant
from harness.replay.connection import Answer
from harness.replay.faults import Choice, Faults
from harness.replay.gate import FREE, Gate, Limits
from harness.replay.journal import Journal
from harness.replay.match import Library
from harness.replay.reader import Incoming
from harness.replay.site import Site

SPEED = "x-harness-speed"
"""A request with this header is answered at that speed, whatever the server's."""
ADMIN = "/__admin/"
NO_FAULT = "none"
"""What `x-harness-fault` says where the rules are not to apply."""
WISH = "x-harness-"


class Door:
    """Answers requests through a site. `limits` and `rules`: what was asked for at the start.

    `administer` answers what is asked of `/__admin/`; where it is not set, nothing is there.
    """

    def __init__(self, site: Site, library: Library[Recorded], limits: Limits, rules: Sequence[Rule]) -> None:
        self.site = site
        self.library = library
        self.faults = Faults(rules, self.recorded)
        self.used: dict[str, int] = {}
        self.gate = Gate(limits, self.tokens_of) if limits.any else None
        self.journal = Journal()
        self.administer: Callable[[Incoming], Answer] = nothing_here

    def answer(self, incoming: Incoming) -> Answer:
        """What a request gets."""
        if is_admin(incoming):
            return self.administer(incoming)
        answer = self.let_in(incoming)
        self.journal.note(incoming, answer)
        return answer

    def let_in(self, incoming: Incoming) -> Answer:
        """The answer to a request, if it may come in."""
        if self.gate and (refused := self.gate.refuse(incoming)):
            self.site.tally.requests += 1
            return refused
        answer = self.through(incoming, wishes_of(incoming.request.headers))
        return self.gate.charged(incoming, answer) if self.gate else answer

    def through(self, incoming: Incoming, wishes: Mapping[str, str]) -> Answer:
        """The answer to a request that may come in, with its fault and at its speed."""
        try:
            speed = speed_of(wishes[SPEED]) if SPEED in wishes else None
            choice = self.choice(incoming, wishes)
        except ValueError as error:
            self.site.tally.requests += 1
            return wrong(incoming, visible(str(error)))
        if choice and choice.is_first:
            self.site.tally.requests += 1
            return self.faults.first(incoming, choice)
        answer = self.site.answer(incoming)
        if speed is not None:
            answer = replace(answer, speed=speed)
        return self.faults.spoiled(incoming, choice, answer) if choice else answer

    def choice(self, incoming: Incoming, wishes: Mapping[str, str]) -> Choice | None:
        """The fault of a request: its own, else the rules'. ValueError for a wish that cannot be read."""
        wish = wishes.get(MARK)
        if wish is None:
            ruled = self.faults.rules and incoming.request.method not in FREE
            return self.faults.choose(incoming, self.paths(incoming)) if ruled else None
        try:
            return None if wish.strip() == NO_FAULT else Choice(fault_in(wish))
        except ValueError as error:
            raise ValueError(f"{MARK}: {error}") from None

    def paths(self, incoming: Incoming) -> tuple[str, ...]:
        """The path of a request, and that behind the name of an upstream."""
        request = incoming.request
        bare = self.library.without_name(request)[1].path
        return request.path.partition("?")[0], bare.partition("?")[0]

    def recorded(self, label: str) -> Recorded | None:
        """The exchange that an answer is made of; None for an answer of harness's own."""
        entry = self.library.by_label.get(label)
        return entry.answer if entry else None

    def tokens_of(self, label: str) -> int:
        """The tokens that a recorded answer used, input and output; read from it once."""
        if label not in self.used:
            recorded = self.recorded(label)
            usage = derive(recorded.whole()).usage if recorded else None
            self.used[label] = (usage.input or 0) + (usage.output or 0) if usage else 0
        return self.used[label]


def is_admin(incoming: Incoming) -> bool:
    """Whether a request is for the admin pages; without the slash, it asks for none that there is."""
    path = incoming.request.path
    return path.startswith(ADMIN) or path.partition("?")[0] == ADMIN.rstrip("/")


def wishes_of(headers: Headers) -> dict[str, str]:
    """What a request asks of harness itself, by the names of its headers in lower case."""
    return {name.lower(): value for name, value in headers if name[: len(WISH)].lower() == WISH}


def speed_of(text: str) -> float:
    """A speed in a header. ValueError for what is none."""
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not math.isfinite(speed) or speed < 0:
        raise ValueError(f"{SPEED}: {text[:40]!r} is no speed: use 1 (as recorded), 0 (at once) or N")
    return speed


def wrong(incoming: Incoming, message: str) -> Answer:
    """The 400 for what is asked of harness itself in a way that it cannot read."""
    body = own_error(api_of(incoming.request), 400, message, "harness_asked")
    return Answer(instant(400, body, incoming.client), instant=True, result=Result.ASKED_WRONGLY)


def nothing_here(incoming: Incoming) -> Answer:
    """The 404 for a page of `/__admin/` where there are none."""
    said = "the admin pages are on a port of their own (--admin-port)"
    body = own_error(Api.OPENAI, 404, said, "harness_admin")
    return Answer(instant(404, body, incoming.client), instant=True)
