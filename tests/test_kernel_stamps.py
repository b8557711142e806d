"""The kernel's stamps on real sockets, and the step from one clock to the other."""

import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from harness.kernel_stamps import ANCILLARY_BYTES, SO_TIMESTAMPNS, Carry, enable, stamp_of

MS = 1_000_000
STAMP = struct.pack("@ll", 1_700_000_000, 7)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SO_TIMESTAMPNS")


def pause(ms: float) -> None:
    threading.Event().wait(ms / 1000)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection on loopback: (sender, reader)."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=10) as sender,
    ):
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, _ = listener.accept()
        reader.settimeout(10)
        with reader:
            yield sender, reader


@pytest.mark.parametrize(
    ("ancdata", "expected"),
    [
        ([(socket.SOL_SOCKET, SO_TIMESTAMPNS, STAMP)], 1_700_000_000_000_000_007),
        (
            [(socket.SOL_SOCKET, 1, b"rights"), (socket.SOL_SOCKET, SO_TIMESTAMPNS, STAMP)],
            1_700_000_000_000_000_007,
        ),
        ([(socket.IPPROTO_TCP, SO_TIMESTAMPNS, STAMP)], None),
        ([(socket.SOL_SOCKET, SO_TIMESTAMPNS, STAMP[:8])], None),
        ([], None),
    ],
)
def test_a_stamp_is_found_by_level_and_type(
    ancdata: list[tuple[int, int, bytes]], expected: int | None
) -> None:
    assert stamp_of(ancdata) == expected


@on_linux
def test_a_stamp_says_when_bytes_came_in_however_late_they_are_read(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sender, reader = pair
    assert enable(reader)
    # The kernel starts to stamp a moment after the first socket of a machine asked for it.
    for _ in range(100):
        pause(2)
        before_ns = time.monotonic_ns()
        sender.send(b"x")
        after_ns = time.monotonic_ns()
        pause(20)
        data, ancdata, _, _ = reader.recvmsg(100, ANCILLARY_BYTES)
        assert data == b"x"
        if (stamp_ns := stamp_of(ancdata)) is not None:
            break
    assert stamp_ns is not None
    carry = Carry.measure()
    assert before_ns - carry.error_ns <= carry.to_monotonic(stamp_ns)
    # Loopback delivers within `send`, but may leave that to another thread of the kernel.
    assert carry.to_monotonic(stamp_ns) <= after_ns + 15 * MS


@on_linux
def test_without_asking_there_is_no_stamp(pair: tuple[socket.socket, socket.socket]) -> None:
    sender, reader = pair
    sender.send(b"x")
    assert stamp_of(reader.recvmsg(100, ANCILLARY_BYTES)[1]) is None


def test_where_the_kernel_cannot_stamp_enable_says_so(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, reader = pair
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert not enable(reader)
    reader.close()
    assert not enable(reader)


def test_the_carry_is_the_narrowest_bracket_and_brings_a_moment_over() -> None:
    carry = Carry.measure()
    before_ns = time.monotonic_ns()
    realtime_ns = time.time_ns()
    after_ns = time.monotonic_ns()
    assert carry.error_ns >= 0
    # The clocks may be set or slewed apart by a little between the two measurements.
    assert before_ns - MS <= carry.to_monotonic(realtime_ns) <= after_ns + MS


def test_more_tries_do_not_widen_the_error() -> None:
    assert Carry.measure(200).error_ns <= max(Carry.measure_once().error_ns for _ in range(20))


def test_offsets_are_exact_integers() -> None:
    assert (
        Carry(offset_ns=1_700_000_000_000_000_000, error_ns=50).to_monotonic(1_700_000_000_000_000_007) == 7
    )
