"""The probe finds what was planted, and nothing in a gateway that is faithful."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.exchange import Exchange
from harness.probe.behaviours import Behaviour
from harness.probe.judge import Verdict

type Probe = Callable[..., Any]
B = Behaviour


@pytest.fixture
def recording(write: Callable[..., Path], make_exchange: Callable[..., Exchange]) -> Path:
    """One short stream: the rest is built in."""
    return write(make_exchange("some", "words", "to", "stream"))


def test_a_faithful_gateway_passes_everything(planted: Probe) -> None:
    found = planted("faithful")
    assert found.failed() == set()
    assert {one.verdict for one in found.document.behaviours} == {Verdict.PASS}
    assert found.document.changes == ()
    assert (found.document.missed, found.document.marked) == (0, True)
    assert found.code in (0, 3)  # 3: this machine is too busy to tell, and says so


def test_one_that_holds_chunks_back_adds_what_it_holds(planted: Probe) -> None:
    found = planted("holds", "--max-added-ms", "3")
    [added] = found.document.added
    assert added.event_p50_ms > 4.5
    assert found.code in (1, 3)
    direct, gateway = found.document.levels
    assert (direct.path, gateway.path) == ("direct", "gateway")
    assert gateway.events.p50_ms - direct.events.p50_ms == pytest.approx(added.event_p50_ms, abs=0.01)


def test_one_that_buffers_delivers_nothing_in_time(planted: Probe) -> None:
    found = planted("buffers")
    assert {B.DELIVERY, B.SILENCE} <= found.failed()
    assert B.ORDER not in found.failed()
    assert "held back until the silence" in found.evidence(B.SILENCE)
    assert found.document.levels[1].merged > 20


def test_one_that_drops_the_last_chunk_and_rewrites_requests(planted: Probe) -> None:
    found = planted("drops-last+rewrites")
    assert B.ORDER in found.failed()
    assert "2 lost" in found.evidence(B.ORDER)
    assert found.document.events.lost == 2
    assert B.DELIVERY not in found.failed()
    assert B.COMMENTS not in found.failed()
    assert {B.REQUEST_LINE, B.REQUEST_HEADERS, B.REQUEST_BODY} <= found.failed()
    assert found.evidence(B.REQUEST_LINE) == "2 of 2 requests rewritten: ?api-version added"
    assert found.evidence(B.REQUEST_HEADERS) == "x-probe lost, x-added added"
    assert "/model lost, /Model added" in found.evidence(B.REQUEST_BODY)
    told = {(one.what, one.place, one.kind) for one in found.document.changes}
    assert {("request line", "?api-version", "added"), ("request header", "x-added", "added")} <= told


def test_one_that_smooths_errors_and_cuts_over_is_seen_through(planted: Probe) -> None:
    found = planted("smooths")
    assert {B.INSIDE, B.CUT} <= found.failed()
    assert "lost: status 200 and a clean end" in found.evidence(B.INSIDE)
    assert found.evidence(B.CUT) == "turned into a clean end"
    assert not {B.ORDER, B.DELIVERY, B.LIMITED, B.LEFT} & found.failed()


def test_one_that_reads_on_after_the_client_left_keeps_the_provider_busy(planted: Probe) -> None:
    found = planted("reads-on")
    assert found.failed() == {B.LEFT, B.LEFT_SILENT, B.BROKE}
    assert "the provider was never stopped" in found.evidence(B.LEFT)
    writes = int(found.evidence(B.LEFT).split(": ")[1].split()[0])
    assert writes > 80


def test_one_that_drops_the_marks_is_probed_by_the_order_of_requests(planted: Probe) -> None:
    found = planted("forgets")
    assert not found.document.marked
    assert found.failed() == set()
    assert found.document.missed == 0
