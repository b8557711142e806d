"""The border around a test: loopback and allowed hosts, nothing else."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from harness.core.errors import BadInput
from harness.testing.network import NetworkBlocked, blocked, is_loopback

FAR = ("192.0.2.1", 80)
"""An address that nobody has (RFC 5737)."""


@pytest.fixture
def listener() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("", True),
        ("0.0.0.0", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("localhost.example.com", False),
        ("api.openai.com", False),
    ],
)
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_loopback_is_reached_and_nothing_else(listener: tuple[str, int]) -> None:
    kept = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo
    with blocked([]) as border:
        socket.create_connection(("localhost", listener[1]), timeout=5).close()
        for ask in (socket.create_connection, asyncio_connect, connect_ex, datagram, sendto):
            with pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1:80"):
                ask(FAR)
        with pytest.raises(NetworkBlocked, match=r"api\.openai\.com:443"):
            socket.create_connection(("api.openai.com", 443))
    assert border.refused == ["192.0.2.1:80"] * 5 + ["api.openai.com:443"]
    now = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo
    assert now == kept


def asyncio_connect(address: tuple[str, int]) -> None:
    async def connect() -> None:
        await asyncio.open_connection(*address)

    asyncio.run(connect())


def connect_ex(address: tuple[str, int]) -> None:
    with socket.socket() as sock:
        sock.connect_ex(address)


def datagram(address: tuple[str, int]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(address)


def sendto(address: tuple[str, int]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", address)


def test_sockets_of_the_file_system_are_left_alone() -> None:
    with blocked([]), socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect("/no/such/socket")


def test_hosts_are_allowed_by_patterns_that_match_wholly() -> None:
    with blocked([r"192\.0\.2\..*", r".*\.example\.com"]) as border:
        assert border.lets("192.0.2.7")
        assert border.lets("API.example.com")
        assert not border.lets("api.example.com.evil.org")
        assert not border.lets("10.192.0.2.7")


def test_addresses_of_an_allowed_name_are_allowed() -> None:
    with blocked(["db"]) as border:
        border.resolve(lambda *_: [(socket.AF_INET, 1, 6, "", ("192.0.2.9", 5432))])("db", 5432)
        assert border.lets("192.0.2.9")


def test_a_pattern_that_is_none_is_told() -> None:
    with pytest.raises(BadInput, match=r"allowed host '\*' is no regular expression"), blocked(["*"]):
        pass
