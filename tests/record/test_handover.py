import asyncio
import io
import socket
from collections.abc import Awaitable, Callable

import pytest

from harness.record.handover import Handover
from harness.record.message import Kind, plain, read
from harness.record.policy import Policy

type Story = Callable[[Handover, socket.socket, list[str]], Awaitable[None]]


def tell(story: Story, limit: int, policy: Policy = Policy.STOP) -> list[str]:
    """Run a story on a handover; the reasons for which it failed."""
    failures: list[str] = []

    async def run() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handover = await Handover.over(ours, failures.append, limit, policy)
            await story(handover, theirs, failures)

    asyncio.run(run())
    return failures


def test_all_that_was_sent_arrives_and_the_loop_never_waits() -> None:
    messages = [plain(Kind.NOTE, "x" * 100_000 + str(number)) for number in range(50)]

    async def story(handover: Handover, theirs: socket.socket, _failures: list[str]) -> None:
        for message in messages:
            handover.send(message)
        taking = asyncio.to_thread(lambda: b"".join(iter(lambda: theirs.recv(65536), b"")))
        data, _ = await asyncio.gather(taking, handover.close())
        source = io.BytesIO(data)
        found = [read(source) for _ in messages]
        assert [message.head["text"][-2:] for message in found if message][-1] == "49"
        assert read(source) is None

    assert tell(story, 2**30) == []


def test_too_much_that_waits_is_a_failure() -> None:
    async def story(handover: Handover, theirs: socket.socket, failures: list[str]) -> None:
        while not failures:
            assert handover.peak <= 2**20
            handover.send(b"x" * 100_000)
        assert 2**20 < handover.peak < 2**20 + 100_000
        assert handover.transport is not None
        handover.transport.abort()
        await handover.close()

    assert "more than 1 MiB wait for the writer" in tell(story, 2**20)[0]


def test_it_is_told_while_more_than_half_of_the_bound_waits() -> None:
    told: list[bool] = []

    async def story() -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handover = await Handover.over(ours, print, 2**20, behind=told.append)
            while not told:
                assert handover.peak <= 2**19
                handover.send(b"x" * 10_000)
            assert told == [True]
            assert 2**19 < handover.peak < 2**19 + 10_000
            while told[-1]:
                await asyncio.to_thread(theirs.recv, 65536)
            handover.send(b"x" * 20_000_000)
            theirs.close()
            await handover.closed
        assert told[:4] == [True, False, True, False]  # a writer that is gone is waited for no longer

    asyncio.run(story())


def test_a_long_queue_makes_no_message_dearer() -> None:
    """The transport of asyncio counts all that it holds at each write: so it holds little."""

    async def story(handover: Handover, theirs: socket.socket, _failures: list[str]) -> None:
        transport = handover.transport
        assert transport is not None
        for number in range(20_000):
            handover.send(b"%08d" % number + b"x" * 992)
            assert transport.get_write_buffer_size() <= 2**18 + 1000
        assert handover.waiting == handover.peak > 10_000_000
        taking = asyncio.to_thread(lambda: b"".join(iter(lambda: theirs.recv(2**20), b"")))
        data, _ = await asyncio.gather(taking, handover.close())
        assert [int(data[at : at + 8]) for at in range(0, len(data), 1000)] == list(range(20_000))

    assert tell(story, 2**30) == []


@pytest.mark.parametrize("busy", [False, True])
def test_a_writer_that_is_gone_is_a_failure(busy: bool) -> None:
    async def story(handover: Handover, theirs: socket.socket, failures: list[str]) -> None:
        if busy:
            handover.send(b"x" * 10_000_000)
        theirs.close()
        await handover.closed
        handover.send(b"x")

    failures = tell(story, 2**30)
    assert set(failures) == {"the writer is gone"}


def test_what_is_over_the_bound_is_dropped_where_traffic_passes() -> None:
    """And what comes once the writer has caught up is sent again; a message before all others always fits."""
    sent = [plain(Kind.NOTE, str(number) * 100_000) for number in range(10)]

    async def story(handover: Handover, theirs: socket.socket, failures: list[str]) -> None:
        kept = []
        for message in sent * 100:
            told = len(failures)
            handover.send(message)
            if len(failures) == told:
                kept.append(message)
        assert failures
        taking = asyncio.to_thread(lambda: b"".join(iter(lambda: theirs.recv(65536), b"")))
        data, _ = await asyncio.gather(taking, handover.close())
        assert data == b"".join(kept)

    assert set(tell(story, 50_000, Policy.PASS)) == {
        "more than 50000 B wait for the writer, which is too slow"
    }


def test_what_the_writer_cannot_store_is_heard() -> None:
    async def story(handover: Handover, theirs: socket.socket, failures: list[str]) -> None:
        for part in (b"the disk ", b"is full\nthe file is gone\nand"):
            theirs.sendall(part)
            await asyncio.sleep(0.01)
        while len(failures) < 2:
            await asyncio.sleep(0.01)
        await handover.close()

    assert tell(story, 2**20) == ["the disk is full", "the file is gone"]
