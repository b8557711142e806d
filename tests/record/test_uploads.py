import asyncio
from collections.abc import Iterator

import pytest

from harness.record import uploads as module
from harness.record.backlog import MOST_BYTES, SLUICES, Sluice
from harness.record.uploads import Uploads

CLIENT = ("127.0.0.1", 1)


@pytest.fixture
def sluice() -> Iterator[Sluice]:
    """That of a client which is connected."""
    SLUICES[CLIENT] = Sluice(asyncio.StreamReader(loop=asyncio.new_event_loop()))
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
            uploads.hold(("127.0.0.1", 2))  # nobody is there
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
