import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from mitmproxy.test.tflow import tflow

from harness.record import uploads as module
from harness.record.backlog import MOST_BYTES, SLUICES, Sluice
from harness.record.lag import LagSelector
from harness.record.tee import Open, Tee
from harness.record.uploads import Uploads
from harness.record.ways import Reverse

CLIENT = (("127.0.0.1", 1), ("127.0.0.1", 2))


@pytest.fixture
def sluice() -> Iterator[Sluice]:
    """That of a client which is connected."""
    with closing(asyncio.new_event_loop()) as loop:
        SLUICES[CLIENT] = Sluice(asyncio.StreamReader(loop=loop))
        yield SLUICES[CLIENT]
        del SLUICES[CLIENT]


def test_a_client_that_is_held_is_let_go_once_the_writer_has_caught_up(sluice: Sluice) -> None:
    async def story() -> None:
        uploads = Uploads()
        seen = []
        for behind in (True, False):
            uploads.note(behind)
            seen.append((uploads.behind, sluice.is_open.is_set()))
            uploads.hold(CLIENT)  # a part of an upload passes
            uploads.hold(("somebody", "else"))  # nobody is there
            seen.append((uploads.behind, sluice.is_open.is_set()))
        assert seen == [(True, True), (True, False), (False, True), (False, False)]

    asyncio.run(story())


def test_a_request_that_is_whole_is_let_go_alone(sluice: Sluice) -> None:
    uploads = Uploads()
    uploads.hold(CLIENT)
    uploads.release(CLIENT)
    uploads.release(CLIENT)
    assert sluice.is_open.is_set()


def test_it_stays_closed_while_its_upstream_takes_no_more(sluice: Sluice) -> None:
    uploads = Uploads()
    uploads.hold(CLIENT)
    sluice.note("upstream", MOST_BYTES + 1)
    uploads.release(CLIENT)
    assert not sluice.is_open.is_set()
    uploads.hold(CLIENT)
    sluice.note("upstream", 0)
    assert not sluice.is_open.is_set()
    uploads.release(CLIENT)
    assert sluice.is_open.is_set()


def test_a_writer_that_hangs_is_not_waited_for_for_ever(
    sluice: Sluice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)

    async def story() -> None:
        uploads = Uploads()
        uploads.note(behind=True)
        uploads.hold(CLIENT)
        await asyncio.wait_for(sluice.is_open.wait(), 20)
        assert not uploads.behind

    asyncio.run(story())


@pytest.fixture
def tee() -> Tee:
    """One behind which the writer cannot keep up."""
    uploads = Uploads()
    uploads.behind = True
    sent: list[bytes] = []
    return Tee(Reverse({}, sent.append), sent.append, LagSelector(), uploads)


def opened(client: str = "one", *, upload: int = 0, t0: int = 0) -> Open:
    return Open(client, CLIENT, {"method": "POST", "path": "/"}, upload=upload, t0=t0)


@pytest.mark.parametrize(
    ("beside", "is_held"),
    [
        ((), True),
        ((opened(upload=7),), True),
        ((opened("another", t0=1), opened("another")), True),
        ((opened(t0=1),), False),
        ((opened(upload=7, t0=1),), False),
        ((opened(),), False),
    ],
)
def test_who_has_anything_else_under_way_is_not_held(
    beside: tuple[Open, ...], is_held: bool, tee: Tee, sluice: Sluice
) -> None:
    exchange = opened()
    tee.open |= {str(number): one for number, one in enumerate((exchange, *beside))}
    tee.upload(exchange, b"x")
    assert sluice.is_open.is_set() is not is_held


@pytest.mark.parametrize("hook", ["request", "responseheaders", "response", "error"])
def test_a_request_that_is_whole_or_answered_is_let_go(hook: str, tee: Tee, sluice: Sluice) -> None:
    flow = tflow(resp=True, err=True)
    tee.open[flow.id] = opened()
    tee.upload(tee.open[flow.id], b"x")
    assert not sluice.is_open.is_set()
    getattr(tee, hook)(flow)
    assert sluice.is_open.is_set()


def test_small_bodies_and_a_writer_that_keeps_up_hold_nobody(tee: Tee, sluice: Sluice) -> None:
    exchange = tee.open["0"] = opened()
    tee.upload(exchange, b"")
    tee.holding.behind = False
    tee.upload(exchange, b"x")
    assert sluice.is_open.is_set()
