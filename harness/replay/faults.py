"""The faults of a running server: its rules, what was played, and answers with a fault.

The law of this file: a fault is planned before the first byte is sent, and played by the pacer as any
other answer; where no fault applies, nothing here costs anything. Plans are kept, so that the loop does
not make the same one again for every request. What a fault did not fit is said and sent as recorded.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal

from harness.core import admin
from harness.core.api_forms import Api, api_of, error_body, error_headers, limit_headers, retry_headers
from harness.core.derive import requested_model
from harness.core.exchange import Exchange
from harness.core.fault_rules import Rule, chosen
from harness.core.faults import NS_PER_S, Fault, HttpError, Reset
from harness.core.limits import Standing
from harness.core.spoiling import MARK, Unfit, spoil, without
from harness.core.visible import visible
from harness.replay.answers import Recorded, instant
from harness.replay.connection import Answer
from harness.replay.heads import headers_named, with_headers
from harness.replay.playback import LATEST_NS, Client, Ending, Playback, assemble, playback
from harness.replay.reader import Incoming

KEPT = 100
"""Faults that are remembered, and plans."""
COUNTED = 1000
"""Faults that are counted each for itself; of more, only the kind is."""
RETRY_NS = NS_PER_S
"""When to come again after a 429 that does not say."""
REQUESTS, TOKENS, TOKENS_LEFT = 500, 200_000, 150_000
"""What the headers of a played 429 say: limits a minute, of which the requests are used up."""
MARKS = "x-harness-"
WITHOUT_BODY = "the answer to HEAD has no body"
UNANSWERED = "nothing that was recorded answers this request"


type SharedCount = Callable[[str, int], int]
"""Adds to a count by this name that several processes share; the sum."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A fault for a request, and the rule that chose it; None: the request's own header did."""

    fault: Fault
    rule: Rule | None = None

    @property
    def is_first(self) -> bool:
        """Whether it comes before anything is matched, so that no recorded answer is used up."""
        early_reset = isinstance(self.fault, Reset) and self.fault.is_before_answer
        return early_reset or isinstance(self.fault, HttpError)


class Faults:
    """Chooses faults for requests, makes their answers, and keeps count. `recorded` finds by label."""

    def __init__(self, rules: Sequence[Rule], recorded: Callable[[str], Recorded | None]) -> None:
        self.rules = list(rules)
        self.at_start = self.rules
        self.count: SharedCount | None = None
        self.recorded = recorded
        self.played: Counter[str] = Counter()
        self.unfit: Counter[str] = Counter()
        self.latest: deque[admin.PlayedFault] = deque(maxlen=KEPT)
        self.plan = lru_cache(maxsize=KEPT)(planned)

    def rule_by(self, rules: Iterable[Rule], round_: int = 0) -> None:
        """From now on, these rules, which did nothing yet. `round_`: how often there were others."""
        self.rules = [Rule(rule.fault, rule.when) for rule in rules]
        for number, rule in enumerate(self.rules):
            if self.count is not None:
                rule.total = partial(total_of, self.count, f"{round_}.{number}")

    def choose(self, incoming: Incoming, paths: Sequence[str]) -> Choice | None:
        """The fault that the rules have for a request. `paths`: the names of its path, without query."""
        rule = chosen(self.rules, paths, lambda: requested_model(incoming.request) or "")
        return Choice(rule.fault, rule) if rule else None

    def first(self, incoming: Incoming, choice: Choice) -> Answer:
        """The answer of a fault that needs no recorded one."""
        self.note(incoming, choice)
        if isinstance(choice.fault, HttpError):
            return alone(choice, error_playback(choice.fault, incoming), instant=True)
        return alone(choice, assemble([(0, b"")], Ending.RESET, 0))

    def spoiled(self, incoming: Incoming, choice: Choice, answer: Answer) -> Answer:
        """A recorded answer with its fault; as it is, and marked, where it cannot have it."""
        recorded = self.recorded(answer.label)
        try:
            if recorded is None or answer.instant:
                raise Unfit(UNANSWERED)
            if incoming.client.head and choice.fault.needs_body:
                raise Unfit(WITHOUT_BODY)
            plan = self.plan(choice.fault, recorded, incoming.client, answer.speed)
            if answer.playback is not recorded.playback(incoming.client):  # marked by whoever made it
                plan = with_headers(plan, headers_named(answer.playback, MARKS))
        except Unfit as why:
            self.note(incoming, choice, str(why))
            mark = (MARK, f"none; {choice.fault.kind}: {why}")
            return replace(answer, playback=with_headers(answer.playback, (mark,)))
        self.note(incoming, choice)
        return replace(answer, playback=plan, speed=1.0, fault=choice.fault.words())

    def note(self, incoming: Incoming, choice: Choice, unfit: str | None = None) -> None:
        """Count a fault that is played, or is not, and say so on stderr at once."""
        words = choice.fault.words()
        counts = self.unfit if unfit else self.played
        counts[words if words in counts or len(counts) < COUNTED else choice.fault.kind] += 1
        if choice.rule:
            choice.rule.played_once(fitted=unfit is None)
        asked = visible(f"{incoming.request.method} {incoming.request.path.partition('?')[0]}")
        by: Literal["rule", "request"] = "rule" if choice.rule else "request"
        self.latest.append(admin.PlayedFault(request=asked, fault=words, by=by, unfit=unfit))
        said = f"{visible(words)} does not fit: {unfit}" if unfit else visible(words)
        print(f"harness replay: fault: {asked}: {said}", file=sys.stderr, flush=True)

    def told(self) -> tuple[admin.FaultRule, ...]:
        """The rules, and what they did so far."""
        return tuple(
            admin.FaultRule(rule=one.words(), fitted=one.fitted, played=one.played, unfit=one.unfit)
            for one in self.rules
        )


def total_of(count: SharedCount, rule: str, what: str, amount: int) -> int:
    """What all processes counted of a rule."""
    return count(f"{rule} {what}", amount)


def alone(choice: Choice, made: Playback, *, instant: bool = False) -> Answer:
    """An answer that is nothing but its fault."""
    return Answer(made, instant=instant, result=admin.Result.FAULT, fault=choice.fault.words())


def planned(fault: Fault, recorded: Recorded, client: Client, speed: float) -> Playback:
    """A recorded answer with a fault, at a speed already: a fault's own times are the clock's."""
    exchange = at_speed(recorded.whole(), speed, keep_connect=recorded.keep_connect)
    spoiled = spoil(fault, exchange)
    plan = playback(spoiled.exchange, client)
    return replace(plan, ending=Ending.RESET) if spoiled.reset else plan


def at_speed(exchange: Exchange, speed: float, *, keep_connect: bool) -> Exchange:
    """An exchange with its offsets as they are played at a speed."""
    response = exchange.response
    if response is None:
        return exchange
    shift = 0 if keep_connect else exchange.connect_ns

    def at(offset_ns: int) -> int:
        return int(min(max(0, offset_ns - shift) / speed, LATEST_NS)) if speed else 0

    chunks = tuple((at(offset_ns), data) for offset_ns, data in response.chunks)
    timed = replace(response, headers_ns=at(response.headers_ns), chunks=chunks, end_ns=at(response.end_ns))
    return replace(exchange, response=timed, connect_ns=0)


def error_playback(fault: HttpError, incoming: Incoming) -> Playback:
    """An error in the form of the API that is asked, with the headers that it has there."""
    api = api_of(incoming.request)
    headers = error_headers(api)
    wait_ns = fault.retry_after
    if fault.status == 429:
        wait_ns = RETRY_NS if wait_ns is None else wait_ns
        headers += () if api is Api.OLLAMA else limit_headers(api, exhausted(wait_ns), time.time_ns())
    if wait_ns is not None:
        headers += retry_headers(api, wait_ns)
    own = {name.lower() for name in fault.headers}
    headers = (*without(headers, *own), *fault.headers.items(), (MARK, fault.words()))
    return instant(fault.status, error_body(api, fault.status, fault.message), incoming.client, headers)


def exhausted(wait_ns: int) -> tuple[Standing, Standing]:
    """Limits as they stand where no request is left for so long."""
    return Standing("requests", REQUESTS, 0, wait_ns, wait_ns), Standing(
        "tokens", TOKENS, TOKENS_LEFT, wait_ns, 0
    )
