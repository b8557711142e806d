"""Judging a replayed exchange: bytes, ends, times, and the verdict over all."""

from dataclasses import replace

import pytest

from harness.core.exchange import Exchange, Request, Response, State
from harness.verify.compare import Compared, Received, Verdict, compare, timing_errors, verdict

MS = 1_000_000
CHUNKS = ((10 * MS, b"abc"), (20 * MS, b""), (20 * MS, b"def"), (30 * MS, b"g"))
RECORDED = Exchange(Request("POST", "http://u/v1/x?k=1"), Response(200, (), 10 * MS, CHUNKS, 30 * MS), id=7)
SAME = Received(200, ((11 * MS, b"ab"), (12 * MS, b"cdef"), (31 * MS, b"g")), complete=True, failure=None)


def test_errors_are_those_of_the_last_byte_of_each_chunk() -> None:
    assert timing_errors(RECORDED, SAME.pieces) == (2 * MS, -8 * MS, 1 * MS)


def test_the_first_token_is_found_behind_an_empty_chunk() -> None:
    assert compare(RECORDED, SAME, ttft_ns=30 * MS).ttft_error_ns == 1 * MS


def test_equal_bytes_at_other_boundaries_are_equal() -> None:
    result = compare(RECORDED, SAME, ttft_ns=10 * MS)
    assert (result.id, result.what, result.fault) == (7, "POST /v1/x", None)
    assert (result.ttft_error_ns, result.drift_ns) == (2 * MS, -1 * MS)


def test_connection_setup_is_not_waited_for() -> None:
    shifted = replace(RECORDED, connect_ns=10 * MS)
    assert timing_errors(shifted, SAME.pieces) == (12 * MS, 2 * MS, 11 * MS)


def test_unknown_timing_has_no_errors() -> None:
    assert compare(replace(RECORDED, timing_known=False), SAME, None).errors_ns == ()


CUT = replace(RECORDED, state=State.UPSTREAM_CUT)
NOTHING = replace(RECORDED, response=None, state=State.UPSTREAM_CUT)
FAULTS = {
    "other byte": (RECORDED, replace(SAME, pieces=((0, b"abcdXfg"),)), "byte 4: b'Xfg' instead of b'efg'"),
    "too few": (RECORDED, replace(SAME, pieces=((0, b"abc"),)), "3 bytes instead of 7"),
    "too many": (RECORDED, replace(SAME, pieces=((0, b"abcdefgh"),)), "8 bytes instead of 7"),
    "status": (RECORDED, replace(SAME, status=404), "status 404 instead of 200"),
    "cut short": (RECORDED, replace(SAME, complete=False), "a cut where it ended cleanly"),
    "not cut": (CUT, SAME, "a clean end where the recording was cut"),
    "cut as recorded": (CUT, replace(SAME, complete=False), None),
    "something for nothing": (NOTHING, SAME, "status 200 where nothing was recorded"),
    "nothing, as recorded": (NOTHING, Received(0, (), complete=False, failure=None), None),
    "failure": (RECORDED, replace(SAME, failure="no connection"), "no connection"),
}


@pytest.mark.parametrize(("recorded", "received", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_is_not_as_recorded_is_named(recorded: Exchange, received: Received, fault: str | None) -> None:
    result = compare(recorded, received, None)
    assert result.fault == fault
    assert fault is None or result.errors_ns == ()


def result(*errors_ms: float, fault: str | None = None) -> Compared:
    errors = tuple(round(error * MS) for error in errors_ms)
    return Compared(1, "GET /", "complete", len(errors), fault, errors, None, None)


QUIET, NOISY = MS // 10, 4 * MS


@pytest.mark.parametrize(
    ("results", "noise_ns", "expected"),
    [
        ([result(0.1, -0.1)], QUIET, Verdict.MET),
        ([result(0.1)], NOISY, Verdict.MET),
        ([result(0.1), result(6)], QUIET, Verdict.NOT_MET),
        ([result(-6)], QUIET, Verdict.NOT_MET),
        ([result(6)], NOISY, Verdict.TOO_NOISY),
        ([result(13)], NOISY, Verdict.TOO_NOISY),
        ([result(13.1)], NOISY, Verdict.NOT_MET),
        ([result(*[0.1] * 99, 6)], QUIET, Verdict.MET),
        ([result(0.1), result(fault="byte 1")], QUIET, Verdict.NOT_MET),
        ([result(0.1), result(fault="byte 1")], NOISY, Verdict.NOT_MET),
        ([], QUIET, Verdict.NOTHING),
    ],
)
def test_verdict_needs_equal_bytes_and_a_p99_within_tolerance(
    results: list[Compared], noise_ns: int, expected: Verdict
) -> None:
    assert verdict(results, noise_ns, 5 * MS) is expected
