"""What became of all whole streams together: their events, and what is other on the two sides. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from harness.probe.behaviours import WHOLE_STREAM
from harness.probe.changes import Change, changes_of
from harness.probe.document import ChangeDocument, EventsDocument
from harness.probe.judge import (
    Asked,
    all_changes,
    body_asked,
    changed_headers,
    headers_asked,
    line_asked,
)
from harness.probe.observed import Observed


def whole_of(seen: Iterable[Observed]) -> list[Observed]:
    """The whole streams that were asked for at the provider."""
    return [one for one in seen if one.plays and one.talk.trial.behaviours[0] in WHOLE_STREAM]


def events(whole: Sequence[Observed]) -> EventsDocument:
    """What became of their events."""
    pairs = [(one.sent[i], one.got[j]) for one in whole for i, j in one.pairs]
    return EventsDocument(
        sent=sum(len(one.sent) for one in whole),
        lost=sum(len(one.joined.lost) for one in whole),
        doubled=sum(len(one.joined.doubled) for one in whole),
        added=sum(len(one.joined.added) for one in whole),
        moved=sum(len(one.joined.moved) for one in whole),
        rewritten=sum(bool(changes_of(sent, got)) for sent, got in pairs),
        merged=sum(one.merged() for one in whole),
    )


def changes(whole: Sequence[Observed]) -> Iterator[ChangeDocument]:
    """What is other in whole streams, the most frequent first."""
    parts = {
        "event": all_changes(whole),
        "header": (change for one in whole for change in changed_headers(one)),
        "request line": all_asked(line_asked, whole),
        "request header": all_asked(headers_asked, whole),
        "request body": all_asked(body_asked, whole),
    }
    for what, found in parts.items():
        for (place, kind), count in Counter(found).most_common():
            yield ChangeDocument(what=what, place=place, kind=kind, count=count)


def all_asked(part: Asked, whole: Iterable[Observed]) -> Iterator[Change]:
    """The changes of a part of all requests."""
    return (change for one in whole for changes in part(one) for change in changes)
