"""The pacer on both kinds of loop and alarm, writing to real sockets."""

import asyncio
import os
import socket
import time
from array import array
from collections.abc import Callable

import pytest
import uvloop

from harness.replay.alarm import FileAlarm, LoopAlarm
from harness.replay.pacer import FOLD, MOST_BYTES, Lateness, Pacer, Play, scaled
from harness.replay.playback import LATEST_NS, Ending, Playback

MS = 1_000_000
ALARMS = [FileAlarm, LoopAlarm] if hasattr(os, "timerfd_create") else [LoopAlarm]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def playback(*parts: tuple[float, bytes]) -> Playback:
    """Parts as (due in ms, data)."""
    blob = b"".join(data for _, data in parts)
    ends, end = array("Q"), 0
    for _, data in parts:
        end += len(data)
        ends.append(end)
    return Playback(blob, array("q", (round(at * MS) for at, _ in parts)), ends, Ending.KEEP)


class Wire:
    """A connected socket, as a connection of the server has one."""

    seal: Callable[[bytes | memoryview], bytes] | None = None

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.fd: int = transport.get_extra_info("socket").fileno()


async def played(*playbacks: Playback, speed: float = 1, alarm: type | None = None) -> list[bytes]:
    """What the other ends of as many sockets read while all of them are played at once."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    if alarm is not None:
        pacer.alarm.close()
        pacer.alarm = alarm(loop, pacer.ring)
    readers, ends = [], []
    for one in playbacks:
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        readers.append((await asyncio.open_connection(sock=theirs), transport))
        over = asyncio.Event()
        ends.append(over)
        pacer.add(Play(one, Wire(transport), time.monotonic_ns(), speed, over.set))
    await asyncio.gather(*(over.wait() for over in ends))
    got = []
    for (reader, writer), transport in readers:
        transport.close()
        got.append(await reader.read())
        writer.close()
        await writer.wait_closed()
    pacer.close()
    return got


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("alarm", ALARMS)
def test_all_plays_go_out_whole_on_every_loop_and_alarm(
    factory: Callable[[], asyncio.AbstractEventLoop], alarm: type
) -> None:
    many = [playback(*((at * 3 + n / 7, b"%d-%d " % (n, at)) for at in range(20))) for n in range(30)]
    with asyncio.Runner(loop_factory=factory) as runner:
        got = runner.run(played(*many, alarm=alarm))
    assert got == [one.blob for one in many]


def test_more_writes_than_one_ring_makes_are_all_made() -> None:
    many = [playback((0, b"a"), (1, b"b")) for _ in range(400)]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert set(runner.run(played(*many))) == {b"ab"}


def test_nothing_arrives_before_its_time() -> None:
    """Judged by the reader's clock: a part may be half a slot early (0.1 ms), however late others are."""
    one = playback(*((at * 2.3, b"x") for at in range(30)))

    async def arrivals() -> list[int]:
        loop = asyncio.get_running_loop()
        pacer, over = Pacer(loop), asyncio.Event()
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        reader, writer = await asyncio.open_connection(sock=theirs)
        start = time.monotonic_ns()
        pacer.add(Play(one, Wire(transport), start, 1, over.set))
        found: list[int] = []
        while len(found) < len(one.blob):
            data = await reader.read(100)
            found += [time.monotonic_ns() - start] * len(data)
        transport.close()
        writer.close()
        await writer.wait_closed()
        pacer.close()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        got = runner.run(arrivals())
    assert min(at - due for at, due in zip(got, one.due, strict=True)) >= -100_000


def test_bytes_of_one_part_are_written_in_pieces_that_a_slow_reader_holds_back() -> None:
    one = playback((0, b"x" * (MOST_BYTES * 3 + 5)), (0, b""), (5, b"end"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def read_all() -> bytes:
            loop = asyncio.get_running_loop()
            pacer, over = Pacer(loop), asyncio.Event()
            ours, theirs = socket.socketpair()
            transport, protocol = await loop.create_connection(lambda: Slow(pacer), sock=ours)
            protocol.play = Play(one, Wire(transport), time.monotonic_ns(), 1, over.set)
            pacer.add(protocol.play)
            reader, writer = await asyncio.open_connection(sock=theirs)
            got = await reader.readexactly(len(one.blob))
            await over.wait()
            transport.close()
            writer.close()
            await writer.wait_closed()
            pacer.close()
            return got

        assert runner.run(read_all()) == one.blob


class Slow(asyncio.Protocol):
    """Stops and resumes its play as the server's connection does."""

    play: Play

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer

    def pause_writing(self) -> None:
        self.play.blocked = True

    def resume_writing(self) -> None:
        self.pacer.resume(self.play)


def test_lateness_is_folded_in_batches_and_none_is_lost() -> None:
    lateness = Lateness()
    for sample in range(10 * FOLD + 1):
        lateness.samples.append(sample)
        lateness.fold_if_many()
    assert len(lateness.samples) == 1
    assert (lateness.fold().count, lateness.histogram.worst) == (10 * FOLD + 1, 10 * FOLD)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (1, [0, 10, 25]),
        (2, [0, 5, 12]),
        (0.5, [0, 20, 50]),
        (0, [0, 0, 0]),
        (5e-324, [0, LATEST_NS, LATEST_NS]),
    ],
)
def test_speed_scales_deadlines(speed: float, expected: list[int]) -> None:
    assert list(scaled(array("q", [0, 10, 25]), speed)) == expected
