import socket

import pytest

from harness.core.errors import BadInput
from harness.record.ports import free_ports, listening


def test_any_free_ports_are_different_ones() -> None:
    ports = free_ports("127.0.0.1", 0, 3)
    assert len(set(ports)) == 3
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()


def test_ports_from_a_first_one_on() -> None:
    first = next(port for port in range(20_000, 40_000) if are_free(port, 2))
    assert free_ports("127.0.0.1", first, 2) == [first, first + 1]


def are_free(first: int, count: int) -> bool:
    try:
        free_ports("127.0.0.1", first, count)
    except BadInput:
        return False
    return True


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BadInput, match=f"cannot listen on 127.0.0.1:{port}: .*; try --port 0"):
            free_ports("127.0.0.1", port, 1)


@pytest.mark.parametrize(
    ("host", "port", "match"),
    [
        ("127.0.0.1", 65_535, "65535 is the last one"),
        ("192.0.2.1", 0, "is --host right"),
        ("no such host", 0, "is --host right"),
    ],
)
def test_ports_that_cannot_be(host: str, port: int, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        free_ports(host, port, 2)


def test_a_socket_holds_its_port_against_others_that_start_at_the_same_moment() -> None:
    """Also against those that may take over an address, as servers may."""
    (held,) = listening("127.0.0.1", 0, 1)
    with held:
        port = held.getsockname()[1]
        with pytest.raises(BadInput, match="try --port 0"):
            listening("127.0.0.1", port, 1)
        with pytest.raises(ConnectionRefusedError):  # nobody answers there yet
            socket.create_connection(("127.0.0.1", port))


def test_nothing_is_left_open_where_one_port_is_taken() -> None:
    first = next(port for port in range(20_000, 40_000) if are_free(port, 2))
    with socket.create_server(("127.0.0.1", first + 1)):
        with pytest.raises(BadInput):
            listening("127.0.0.1", first, 2)
        socket.create_server(("127.0.0.1", first)).close()
