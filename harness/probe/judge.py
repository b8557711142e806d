"""Does a gateway behave? A judge for each behaviour, over the requests that can show it. Pure.

A judge gives a finding: whether it went well, and the evidence in one line. A request that the provider
never saw says nothing about what a gateway does to its answer: it is not tested.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from harness.core.exchange import Request
from harness.core.visible import counted
from harness.probe.behaviours import MS, Behaviour, is_ping, is_usage
from harness.probe.changes import (
    Change,
    Kind,
    body_changes,
    changes_of,
    credentials,
    header_changes,
    line_changes,
    request_header_changes,
)
from harness.probe.observed import Observed
from harness.probe.talk import LEAVE_AFTER

HELD_SHARE = 0.2
"""Events that may come late because of a busy machine before a gateway is said to hold them back."""
STOP_LIMIT_NS = 1_000 * MS
"""How soon the provider's connection should close after the client left."""
SHOWN = 3


class Verdict(StrEnum):
    """What became of a behaviour."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_TESTED = "not tested"


class Finding(NamedTuple):
    """A verdict on one request, or on several, with its evidence."""

    verdict: Verdict
    evidence: str


NOT_KEPT = Finding(Verdict.NOT_TESTED, "what the provider was asked is not known")


def passed(evidence: str) -> Finding:
    """It went well."""
    return Finding(Verdict.PASS, evidence)


def failed(evidence: str) -> Finding:
    """It did not."""
    return Finding(Verdict.FAIL, evidence)


def ms(ns: float) -> str:
    """A time for a line of evidence.

    >>> ms(1_234_567)
    '1.2 ms'
    """
    return f"{ns / MS:.1f} ms"


def listed(names: Iterable[str]) -> str:
    """Some names, and how many more there are.

    >>> listed(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    found = list(dict.fromkeys(names))
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(found[:SHOWN]) + more


def worded(changes: Iterable[Change]) -> str:
    """Changes for a line of evidence."""
    return listed(f"{place} {kind.value}" for place, kind in changes)


def end_of(one: Observed) -> str:
    """How the answer ended for the client."""
    talk = one.talk
    if talk.failure:
        return talk.failure
    end = "a clean end" if talk.complete else "a broken end"
    return f"status {talk.status or 'none'} and {end}"


def missing(one: Observed) -> str | None:
    """Which of the provider's events did not come; None: all did."""
    lost = len(one.joined.lost)
    return f"{lost} of {counted(len(one.sent), 'event')} lost" if lost else None


def judge_delivery(seen: Sequence[Observed]) -> Finding:
    """Events should come when they were written, not with those that follow."""
    counts = [one.held() for one in seen]
    held, candidates = sum(one for one, _ in counts), sum(all_ for _, all_ in counts)
    if not candidates:
        return Finding(Verdict.NOT_TESTED, "no events came that were written apart")
    merged = sum(one.merged() for one in seen)
    text = f"{held} of {counted(candidates, 'event')} came only after the provider's next write"
    text += f", {merged} together with the one before"
    return failed(text) if held > HELD_SHARE * candidates else passed(text)


def judge_order(seen: Sequence[Observed]) -> Finding:
    """Each event once, in its order, and a clean end."""
    kinds = {"lost": 0, "doubled": 0, "added": 0, "out of order": 0}
    for one in seen:
        joined = one.joined
        parts = (len(joined.lost), len(joined.doubled), len(joined.added), len(joined.moved))
        for kind, count in zip(kinds, parts, strict=True):
            kinds[kind] += count
    total = sum(len(one.sent) for one in seen)
    wrong = [f"{count} {kind}" for kind, count in kinds.items() if count]
    broken = [one for one in seen if not one.ended_well]
    if broken:
        wrong.append(f"{counted(len(broken), 'stream')} with {end_of(broken[0])}")
    text = f"{counted(total, 'event')} in {counted(len(seen), 'stream')}"
    return failed(f"{text}: {', '.join(wrong)}") if wrong else passed(text)


def all_changes(seen: Iterable[Observed]) -> list[Change]:
    """The changes of all events that came."""
    return [change for one in seen for i, j in one.pairs for change in changes_of(one.sent[i], one.got[j])]


def changes_at(one: Observed, number: int) -> list[Change]:
    """The changes of one event, by its number at the provider."""
    return [change for i, j in one.pairs if i == number for change in changes_of(one.sent[i], one.got[j])]


def judge_fields(seen: Sequence[Observed]) -> Finding:
    """No field of an event is another."""
    pairs = [(one.sent[i], one.got[j]) for one in seen for i, j in one.pairs]
    rewritten = [changes for sent, got in pairs if (changes := changes_of(sent, got))]
    if rewritten:
        what = worded(change for changes in rewritten for change in changes)
        return failed(f"{len(rewritten)} of {counted(len(pairs), 'event')} rewritten: {what}")
    anew = sum(sent.data != got.data for sent, got in pairs)
    return passed(
        f"{counted(len(pairs), 'event')} equal" + (f", {anew} of them serialised anew" if anew else "")
    )


def judge_headers(seen: Sequence[Observed]) -> Finding:
    """The provider's headers arrive; what a gateway adds is told and not blamed."""
    changes = [change for one in seen for change in changed_headers(one)]
    wrong = [change for change in changes if change[1] is not Kind.ADDED]
    added = [change for change in changes if change[1] is Kind.ADDED]
    if wrong:
        return failed(worded([*wrong, *added]))
    return passed(f"all kept; {worded(added)}" if added else "all kept, none added")


def changed_headers(one: Observed) -> list[Change]:
    """The headers that are other."""
    response = one.exchange.response
    return header_changes(response.headers, one.talk.head()) if response else []


type Asked = Callable[[Observed], list[list[Change]]]
"""For each time that the provider was asked: in what a part of that request was another."""


def asked_in(changes: Callable[[Request, Request], list[Change]]) -> Asked:
    """Compares a part of requests by these rules."""
    return lambda one: [changes(one.asked, got) for got in one.requests()]


def headers_asked(one: Observed) -> list[list[Change]]:
    """The same of headers, without those that were for the gateway itself."""
    found = (request_header_changes(one.asked, got) for got in one.requests())
    return [[change for change in changes if change[0] not in one.talk.aside] for changes in found]


def judge_request(part: Asked) -> Callable[[Sequence[Observed]], Finding]:
    """A judge of a part of requests: the provider is asked what the client asked."""

    def judge(seen: Sequence[Observed]) -> Finding:
        asked = [changes for one in seen for changes in part(one)]
        if not asked:
            return NOT_KEPT
        wrong = [changes for changes in asked if changes]
        if wrong:
            what = worded(change for changes in wrong for change in changes)
            return failed(f"{len(wrong)} of {counted(len(asked), 'request')} rewritten: {what}")
        return passed(f"{counted(len(asked), 'request')} equal")

    return judge


def judge_request_headers(seen: Sequence[Observed]) -> Finding:
    """The client's headers reach the provider; what is added, and credentials, are told and not blamed."""
    requests = [request for one in seen for request in one.requests()]
    if not requests:
        return NOT_KEPT
    secret = credentials(*(one.asked for one in seen), *requests)
    changes = [change for one in seen for asked in headers_asked(one) for change in asked]
    told = [change for change in changes if change[1] is Kind.ADDED or change[0] in secret]
    wrong = [change for change in changes if change not in told]
    if wrong:
        return failed(worded([*wrong, *told]))
    return passed(f"all kept; {worded(told)}" if told else "all kept, none added")


line_asked = asked_in(line_changes)
body_asked = asked_in(body_changes)


def judge_error(seen: Sequence[Observed]) -> Finding:
    """Status and body of an error are the provider's own; asking again is told."""
    for one in seen:
        response = one.exchange.response
        assert response is not None
        if one.talk.failure or one.talk.status != response.status:
            return failed(f"{end_of(one)} instead of status {response.status}{asked(one)}")
        if changes := [*all_changes([one]), *changed_errors(one)]:
            return failed(f"status {response.status}, but {worded(changes)}{asked(one)}")
        lost = [change for change in changed_headers(one) if change[0] == "retry-after"]
        if lost:
            return failed(f"status {response.status}, but {worded(lost)}{asked(one)}")
    first = seen[0]
    return passed(f"status {first.talk.status} with the provider's body{asked(first)}")


def changed_errors(one: Observed) -> list[Change]:
    """A body that is missing, or not the provider's at all."""
    return [("body", Kind.CHANGED)] if one.joined.lost or one.joined.added else []


def asked(one: Observed) -> str:
    """That the gateway asked more than once."""
    count = len(one.plays)
    return f"; the provider was asked {count} times" if count > 1 else ""


def judge_inside(seen: Sequence[Observed]) -> Finding:
    """The events before an error, and the error itself, arrive as they were."""
    for one in seen:
        if wrong := missing(one):
            return failed(f"{wrong}: {end_of(one)}{asked(one)}")
        if changes := changes_at(one, len(one.sent) - 1):
            return failed(f"the error itself is rewritten: {worded(changes)}")
        if one.joined.added:
            return failed(f"{counted(len(one.joined.added), 'event')} added after the error")
    return passed(f"the error came after {counted(len(seen[0].sent) - 1, 'event')}, unchanged")


def judge_cut(seen: Sequence[Observed]) -> Finding:
    """What came before a cut arrives, and the cut is seen: no clean end."""
    for one in seen:
        lost = missing(one)
        if one.ended_well and one.talk.status < 400 and not tells_error(one):
            return failed(f"turned into a clean end{f', {lost}' if lost else ''}{asked(one)}")
        if lost:
            return failed(f"{lost}: {end_of(one)}{asked(one)}")
    how = "an error event" if tells_error(seen[0]) else end_of(seen[0])
    return passed(f"{counted(len(seen[0].sent), 'event')}, then {how}")


def tells_error(one: Observed) -> bool:
    """Whether a gateway put an error event of its own at the end of what the provider sent."""
    values = (one.got[j].value() for j in one.joined.added)
    return any(isinstance(value, dict) and bool(value.get("error")) for value in values)


def judge_unanswered(seen: Sequence[Observed]) -> Finding:
    """A provider that hangs up without a word is no success, and the client is told soon."""
    for one in seen:
        if one.talk.failure or (one.ended_well and one.talk.status < 500):
            return failed(f"{end_of(one)}{asked(one)}")
    return passed(f"{end_of(seen[0])}{asked(seen[0])}")


def judge_whole(seen: Sequence[Observed]) -> Finding:
    """All events arrive, and the end is clean."""
    for one in seen:
        if wrong := missing(one):
            return failed(f"{wrong}: {end_of(one)}{asked(one)}")
        if not one.ended_well:
            return failed(f"all events, but {end_of(one)}")
    return passed(f"{counted(len(seen[0].sent), 'event')} and a clean end")


def judge_silence(seen: Sequence[Observed]) -> Finding:
    """A stall breaks nothing, and what was written before it arrives before its end."""
    whole = judge_whole(seen)
    if whole.verdict is not Verdict.PASS:
        return whole
    longest = 0
    for one in seen:
        ns, held = silence_of(one)
        longest = max(longest, ns)
        if held:
            return failed(f"{counted(held, 'event')} held back until the silence of {ms(ns)} was over")
    return passed(f"{whole.evidence}, over a silence of {ms(longest)}")


def silence_of(one: Observed) -> tuple[int, int]:
    """(The longest silence of the provider in ns, events written before it that came after it)."""
    times = one.written_ns
    gaps = [
        (after - before, number)
        for number, (before, after) in enumerate(pairwise(times))
        if before is not None and after is not None
    ]
    longest_ns, at = max(gaps, default=(0, 0))
    ends_ns = times[at + 1] if len(times) > at + 1 else None
    held = sum(i <= at and one.got[j].at >= (ends_ns or 0) for i, j in one.pairs)
    return longest_ns, held


def kept(
    what: str, wanted: Callable[[Observed, int], bool], places: str = ""
) -> Callable[[Sequence[Observed]], Finding]:
    """A judge of some events alone: each arrives, with nothing changed whose place holds `places`."""

    def judge(seen: Sequence[Observed]) -> Finding:
        total = 0
        for one in seen:
            numbers = [i for i in range(len(one.sent)) if wanted(one, i)]
            arrived = {i for i, _ in one.pairs}
            lost = [i for i in numbers if i not in arrived]
            if lost:
                return failed(f"{len(lost)} of {len(numbers)} dropped ({what}){end_unless_well(one)}")
            changes = [change for i in numbers for change in changes_at(one, i) if places in change[0]]
            if changes:
                return failed(f"rewritten: {worded(changes)}")
            total += len(numbers)
        return passed(f"{total} of {total} kept ({what})")

    return judge


def end_unless_well(one: Observed) -> str:
    """How the answer ended, where that was no proper end."""
    return "" if one.ended_well else f": {end_of(one)}"


def is_wanted_ping(one: Observed, number: int) -> bool:
    """Whether an event keeps the connection alive."""
    return is_ping(one.sent[number])


def is_wanted_usage(one: Observed, number: int) -> bool:
    """Whether an event is the usage chunk."""
    return is_usage(one.sent[number].value())


def has_unknown(one: Observed, number: int) -> bool:
    """Whether an event has the fields that nobody knows (`harness.probe.cases`)."""
    return b'"x_probe"' in one.sent[number].data


def judge_leaving(seen: Sequence[Observed]) -> Finding:
    """The provider's stream is stopped soon after the client left."""
    for one in seen:
        if not one.talk.left:
            return failed(f"the client could not leave amid the stream: {end_of(one)}")
        for play in one.plays:
            after = sum(at > one.talk.end_ns for at, _ in play.writes)
            wrote = f"{counted(after, 'write')} after the client had left"
            if play.left_ns is None:
                return failed(f"the provider was never stopped: {wrote}")
            if play.left_ns - one.talk.end_ns > STOP_LIMIT_NS:
                return failed(f"the provider was stopped {ms(play.left_ns - one.talk.end_ns)} later, {wrote}")
    delays = [(play.left_ns or 0) - one.talk.end_ns for one in seen for play in one.plays]
    heard = min(one.talk.events for one in seen)
    deaf = f", though the client had heard only {counted(heard, 'event')}" if heard < LEAVE_AFTER else ""
    return passed(f"the provider was stopped {ms(max(0, *delays))} later{deaf}")


type Judge = Callable[[Sequence[Observed]], Finding]
JUDGES: dict[Behaviour, Judge] = {
    Behaviour.DELIVERY: judge_delivery,
    Behaviour.ORDER: judge_order,
    Behaviour.FIELDS: judge_fields,
    Behaviour.HEADERS: judge_headers,
    Behaviour.REQUEST_LINE: judge_request(line_asked),
    Behaviour.REQUEST_HEADERS: judge_request_headers,
    Behaviour.REQUEST_BODY: judge_request(body_asked),
    Behaviour.USAGE: kept("choices [] and usage", is_wanted_usage),
    Behaviour.UNKNOWN: kept("x_probe, delta/x_probe_delta", has_unknown, "x_probe"),
    Behaviour.COMMENTS: kept("comments and ping events", is_wanted_ping),
    Behaviour.SILENCE: judge_silence,
    Behaviour.LIMITED: judge_error,
    Behaviour.FAILED: judge_error,
    Behaviour.INSIDE: judge_inside,
    Behaviour.CUT: judge_cut,
    Behaviour.UNANSWERED: judge_unanswered,
    Behaviour.CLOSED: judge_whole,
    Behaviour.LEFT: judge_leaving,
    Behaviour.LEFT_SILENT: judge_leaving,
    Behaviour.BROKE: judge_leaving,
}


def judge(behaviour: Behaviour, seen: Sequence[Observed]) -> Finding:
    """The verdict on a behaviour by the requests that can show it."""
    reached = [one for one in seen if one.plays]
    if not reached:
        return Finding(Verdict.NOT_TESTED, f"no request reached the provider: {end_of(seen[0])}")
    return JUDGES[behaviour](reached)
