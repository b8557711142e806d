"""The null test: its recording, the joining of both sides, and a real one."""

from itertools import pairwise

import pytest

from harness.core.errors import Untrusted
from harness.load.nulltest import EVENTS, Played, compare, due_ns, events, null_test, written
from harness.load.records import Outcome, Phase, Result, Stamps


def result(number: int, offsets: list[int]) -> Result:
    return Result(
        worker=0,
        number=number,
        call=0,
        phase=Phase.MEASURED,
        outcome=Outcome.COMPLETE,
        sent_ns=1000,
        end_ns=9999,
        stamps=Stamps.KERNEL,
        offsets=tuple((offset, True) for offset in offsets),
    )


def test_the_stream_has_bursts_and_gaps() -> None:
    times = due_ns()
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) == len(events()) == EVENTS
    assert min(gaps) == 0 < max(gaps)
    assert times[-1] < 2_500_000_000


def test_events_were_written_with_the_write_that_holds_their_last_byte() -> None:
    sizes = [len(b"%x\r\n%b\r\n" % (len(data), data)) for data in events()]
    head = 70
    two = head + sizes[0] + sizes[1]
    times = written([[5, head], [10, two], [20, head + sum(sizes) + 5]])
    assert times == [10, 10] + [20] * (EVENTS - 2)


def test_errors_are_stamps_minus_writes() -> None:
    played = Played(1100, [2000 + 10 * n for n in range(EVENTS)])
    came = [played.written_ns[n] - 1000 + n for n in range(EVENTS)]
    found = compare([result(4, came)], {4: played})
    assert (found.error.count, found.error.max, found.error.p50) == (EVENTS, EVENTS - 1, EVENTS // 2 - 1)
    assert (found.sent.max, found.ttft.max) == (100, 100)
    assert (found.streams, found.events, found.stamps) == (1, EVENTS, Stamps.KERNEL)


def test_a_stamp_from_before_the_write_is_an_error_too() -> None:
    played = Played(1100, [2_000_000] * EVENTS)
    found = compare([result(4, [played.written_ns[0] - 1000 - 700_000] * EVENTS)], {4: played})
    assert (found.error.p50, found.error.p99) == (700_000, 700_000)


def test_a_stream_that_is_missing_or_not_whole_proves_nothing() -> None:
    played = Played(1, [1] * EVENTS)
    with pytest.raises(Untrusted, match="lost a stream"):
        compare([result(1, [1] * EVENTS)], {2: played})
    with pytest.raises(Untrusted, match="lost a stream"):
        compare([result(1, [1, 2])], {1: played})
    with pytest.raises(Untrusted, match="saw no stream"):
        compare([], {})


def test_a_real_one_which_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    found = null_test(workers=1, concurrency=5)
    assert (found.streams, found.events) == (5, 5 * EVENTS)
    assert found.error.p50 < 20_000_000
