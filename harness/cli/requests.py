"""What `harness replay --validate-requests` refuses: requests that break the schema of their endpoint."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.core.exchange import Exchange, Request
from harness.core.visible import visible
from harness.replay.guard import Check, Guard, Wrong
from harness.replay.match import Library
from harness.validate.catalog import Catalog
from harness.validate.checker import Checker
from harness.validate.finding import Profile, Severity

if TYPE_CHECKING:
    from harness.replay.answers import Recorded

SHOWN = 3
"""Errors that are named in an answer."""


def guard_of(library: "Library[Recorded]") -> tuple[Guard, int]:
    """A guard that has judged the recorded requests already, and how many of them it will refuse."""
    entries = list(library.by_label.values())
    catalog = Catalog.load()
    names = frozenset(entry.upstream for entry in entries)
    overlays = overlays_of(catalog, [entry.answer.whole for entry in entries])
    guard = Guard(check_of(Checker(catalog), overlays, names))
    return guard, sum(guard.judge(entry.request) is not None for entry in entries)


def overlays_of(catalog: Catalog, recorded: list[Callable[[], Exchange]]) -> dict[str, str]:
    """Dialect -> the overlay of whoever answered it; none where several did."""
    found: dict[str, set[str]] = {}
    for whole in recorded:
        exchange = whole()
        if route := catalog.route_for(exchange):
            found.setdefault(route.dialect, set()).add(catalog.overlay_for(exchange))
    return {dialect: next(iter(names)) for dialect, names in found.items() if len(names) == 1}


def check_of(checker: Checker, overlays: dict[str, str], upstreams: frozenset[str]) -> Check:
    """Finds what is wrong with a request, as a client of one of the upstreams sends it."""

    def check(request: Request) -> Wrong | None:
        asked = without_name(request, upstreams)
        route = checker.catalog.route(asked.method, asked.path, None, None)
        if route is None:
            return None
        overlay = overlays.get(route.dialect, "compatible")
        found = [
            f"{finding.rule} at {finding.pointer or '/'}: {finding.message}"
            for finding in checker.request(Exchange(asked, None), route, overlay)
            if finding.severity(Profile.COMPATIBLE) is Severity.ERROR
        ]
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return Wrong(visible("; ".join([*found[:SHOWN], *more]))) if found else None

    return check


def without_name(request: Request, upstreams: frozenset[str]) -> Request:
    """The request as an upstream gets it that was asked at `/NAME/…`."""
    _, name, *rest = request.path.split("/", 2)
    return replace(request, path=f"/{rest[0]}") if rest and name in upstreams else request
