"""Several workers on one port, over real sockets: one server, whichever of them answers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from harness.child import Child, harness_command
from harness.core.exchange import Exchange, Response
from harness.core.exchange import Request as Recorded
from harness.core.interchange import to_line
from harness.replay.desk import BODY_LIMIT

KEYS, REPEATS, CLIENTS, FEW = 100, 20, 50, 5
LIMIT_S = 20.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred keys, each with twenty answers that say which they are."""
    return written(tmp_path_factory.mktemp("crew") / "repeats.jsonl", KEYS, REPEATS)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five keys with an answer each."""
    return written(tmp_path_factory.mktemp("crew") / "few.jsonl", FEW, 1)


def written(path: Path, keys: int, repeats: int) -> Path:
    lines = []
    for turn in range(repeats):
        for key in range(keys):
            body = json.dumps({"key": key}).encode()
            answer = Response(200, (("content-length", "7"),), 0, ((0, b"%03d %03d" % (key, turn)),), 0)
            lines.append(
                to_line(Exchange(Recorded("POST", "http://up/v1/x", body=body), answer, upstream="up"))
            )
    path.write_text("\n".join(lines) + "\n")
    return path


def command(file: Path, *options: str) -> list[str]:
    return harness_command("replay", str(file), "--port", "0", "--workers", "2", "--json", *options)


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Child]:
    with Child(command(file, "--repeat", "sequence", "--session-by", "header:x-session")) as child:
        yield child


def get(url: str, method: str = "GET", said: object = None) -> Any:
    content = None if said is None else json.dumps(said).encode()
    with urlopen(Request(url, content, method=method), timeout=LIMIT_S) as answer:
        text = answer.read().decode()
        return json.loads(text) if answer.headers["content-type"] == "application/json" else text


def workers_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def ask(url: str, key: int, session: str = "") -> str:
    """Ask once, on a connection of its own; the body."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"key": key}).encode()
    head = f"POST /v1/x HTTP/1.1\r\nHost: h\r\nX-Session: {session}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode()


def together(tasks: Callable[[int], Any]) -> list[Any]:
    """What fifty clients get that ask at once."""

    async def run() -> list[Any]:
        return await asyncio.gather(*map(tasks, range(CLIENTS)))

    return asyncio.run(run())


def test_repeats_come_in_order_to_each_session_none_twice_and_none_lost(server: Child) -> None:
    async def client(number: int) -> list[str]:
        mine = (number, number + CLIENTS)
        return [await ask(server.url, key, f"s{number}") for _ in range(REPEATS) for key in mine]

    for number, got in enumerate(together(client)):
        wanted = [f"{key:03} {turn:03}" for turn in range(REPEATS) for key in (number, number + CLIENTS)]
        assert got == wanted


def test_clients_of_one_session_share_its_answers(server: Child) -> None:
    """Each of 2,000 answers comes once, and never before one that somebody had when it was asked for."""
    had: dict[int, int] = {}

    async def client(number: int) -> list[str]:
        got = []
        for step in range(KEYS * REPEATS // CLIENTS):
            key = (number * 40 + step) % KEYS
            before = had.get(key, -1)
            got.append(await ask(server.url, key, "shared"))
            turn = int(got[-1].split()[1])
            assert turn > before
            had[key] = max(had.get(key, -1), turn)
        return got

    counts = Counter(answer for got in together(client) for answer in got)
    assert counts == dict.fromkeys(
        (f"{key:03} {turn:03}" for key in range(KEYS) for turn in range(REPEATS)), 1
    )


def test_the_admin_pages_are_about_all_workers(server: Child) -> None:
    admin = f"{server.url}/__admin"
    get(f"{admin}/reset", "POST")
    asyncio.run(ask_many(server.url, ["a"] * 6))
    for _ in range(4):  # whichever worker is asked
        journal = get(f"{admin}/requests?limit=5")
        assert (journal["count"], len(journal["requests"])) == (6, 5)
        assert [one["t0_ns"] for one in journal["requests"]] == sorted(
            one["t0_ns"] for one in journal["requests"]
        )
        assert 'harness_replay_requests_total{result="matched"} 6.0' in get(f"{admin}/metrics")
    assert asyncio.run(ask(server.url, 1, "a")) == "001 006"
    get(f"{admin}/reset", "POST", {"session": "a"})
    assert asyncio.run(ask_many(server.url, ["a", "b", "a"])) == ["001 000", "001 000", "001 001"]
    with pytest.raises(HTTPError, match="400"):
        get(f"{admin}/reset", "POST", {"what": "all"})
    with pytest.raises(HTTPError, match="413"):
        get(f"{admin}/faults", "PUT", "x" * BODY_LIMIT)


async def ask_many(url: str, sessions: Sequence[str], key: int = 1) -> list[str]:
    return [await ask(url, key, session) for session in sessions]


def test_rules_of_faults_count_over_all_workers(server: Child) -> None:
    get(f"{server.url}/__admin/faults", "PUT", {"faults": ["error; status=500; every=3; times=2"]})
    got = asyncio.run(ask_many(server.url, ["f"] * 10, key=2))
    assert ["error" in one for one in got] == [number in (2, 5) for number in range(10)]
    [rule] = get(f"{server.url}/__admin/faults")["rules"]
    assert (rule["fitted"], rule["played"]) == (10, 2)
    get(f"{server.url}/__admin/faults", "DELETE")
    get(f"{server.url}/__admin/speed", "PUT", {"speed": 3})
    assert {get(f"{server.url}/__admin/speed")["speed"] for _ in range(4)} == {3}


def test_both_workers_work(server: Child) -> None:
    used = [
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15]))
        for pid in workers_of(server.process.pid)
    ]
    assert len(used) == 2
    assert min(used) > max(used) / 2


def test_the_sum_at_the_end_is_of_all(few: Path) -> None:
    script = (
        "import os, urllib.request as r\n"
        "for key in (0, 1, 2, 3, 3):\n"
        "    r.urlopen(os.environ['UP_BASE_URL'] + '/v1/x', b'{\"key\": %d}' % key).read()\n"
        "try: r.urlopen(os.environ['UP_BASE_URL'] + '/v1/x', b'{}')\n"
        "except OSError: raise SystemExit(7)\n"
    )
    done = subprocess.run(
        [*command(few, "--rpm", "100"), "--", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, outcome["program_code"]) == (7, 7)
    assert (outcome["requests"], outcome["answered"], outcome["missed"]) == (6, 5, 1)
    assert len(outcome["unused"]) == FEW - 4
    assert outcome["lateness"]["writes"] == 5
    assert len(outcome["misses"]) == 1


def ended(pids: Sequence[int]) -> bool:
    """Whether processes end before long."""
    limit = time.monotonic() + LIMIT_S
    while any(Path(f"/proc/{pid}").exists() and state(pid) != "Z" for pid in pids):
        if time.monotonic() > limit:
            return False
        time.sleep(0.02)  # noqa: TID251
    return True


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


@pytest.mark.parametrize("meanwhile", ["serving", "ending"])
def test_a_worker_that_is_killed_ends_the_server_with_an_error(few: Path, meanwhile: str) -> None:
    server = subprocess.Popen(command(few), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert "listening on" in server.stdout.readline()
    workers = workers_of(server.pid)
    if meanwhile == "ending":  # it cannot say what it counted
        os.kill(workers[0], signal.SIGSTOP)
        server.terminate()
        assert ended(workers[1:])
    os.kill(workers[0], signal.SIGKILL)
    _, said = server.communicate(timeout=LIMIT_S)
    assert server.returncode == 3
    assert f"worker {workers[0]} was ended by SIGKILL: what it counted is lost" in said
    assert ended(workers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_leader(number: signal.Signals, few: Path) -> None:
    server = subprocess.Popen(command(few, "--admin-port", "0"), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    admin = server.stdout.readline().split(" at ")[1].strip()
    url = server.stdout.readline().split("listening on ")[1].split()[0]
    workers = workers_of(server.pid)
    assert get(f"{admin}health")["workers"] == 2
    with pytest.raises(HTTPError, match="404"):
        get(f"{url}/__admin/health")
    server.send_signal(number)
    server.communicate(timeout=LIMIT_S)
    assert server.returncode == (0 if number is signal.SIGTERM else -9)
    assert ended(workers)
