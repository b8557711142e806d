import socket

import pytest

from harness.core.errors import BadInput
from harness.record.ports import free_ports


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
