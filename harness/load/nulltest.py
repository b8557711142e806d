"""The null test: how far off is this client, measured on a server whose writes are known to the moment.

The law of this file: the truth is not what the server was to do but what it did. A child `harness
replay` plays a made-up recording and logs the moment of each write (`--write-log`); a short run, made
in the same way as the run it vouches for, says when each event came. Both are joined by the number of
the request and the place of the event, on one clock. The error is the distance from the server's write to
the client's stamp: what lies between them (the kernel's loopback) counts as the client's.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from harness.child import Child, harness_command
from harness.core.errors import Untrusted
from harness.core.metrics import Summary
from harness.load.child import LocustChild
from harness.load.folder import Folder
from harness.load.plan import Call, Closed, Plan
from harness.load.records import RECORD, Result, Stamps

MS = 1_000_000
MOST_A_WORKER = 200
EVENTS = 100
FIRST_NS = 50 * MS
PERIOD_NS = 150 * MS
BEATS_NS = (0, 20 * MS, 40 * MS, 40 * MS, 40 * MS, 45 * MS, 46 * MS, 46 * MS + 200_000, 100 * MS)
"""One period of the stream: steady gaps, bursts that share a moment, near-zero gaps, a pause."""
RAMP_S = 0.3
LIMIT_S = 30.0
PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "null-test", "stream": True, "messages": []})
STRAIGHT = {"no_proxy": "*", "NO_PROXY": "*"}
"""The server is on this machine: no proxy stands between."""
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class NullTest:
    """What a null test found, in ns.

    - `error`: of every event, how far the client's stamp is from the server's write. No event can come before
    it was written, so that a stamp which says so is as wrong as a late one. - `sent`: the server's arrival
    of the request minus the client's stamp of sending. - `ttft`: the client's TTFT minus the server's.
    - `stamps`: `kernel` where all events have the kernel's.
    """

    streams: int
    error: Summary
    sent: Summary
    ttft: Summary
    stamps: Stamps

    @property
    def events(self) -> int:
        """How many events were joined."""
        return self.error.count


def due_ns() -> list[int]:
    """When each event is due, from the request on."""
    times = (FIRST_NS + PERIOD_NS * period + beat for period in range(EVENTS) for beat in BEATS_NS)
    return [next(times) for _ in range(EVENTS)]


def events() -> list[bytes]:
    """The events: tokens, a finish, the terminator."""
    values = [{"choices": [{"index": 0, "delta": {"content": f" t{n}"}}]} for n in range(EVENTS - 2)]
    values.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    datas = [json.dumps({"model": "null-test", **value}) for value in values]
    return [f"data: {data}\n\n".encode() for data in [*datas, "[DONE]"]]


def recording_line() -> str:
    """The recording: one exchange, an event a chunk."""
    chunks = [[at_ns, data.decode()] for at_ns, data in zip(due_ns(), events(), strict=True)]
    request = {"method": "POST", "url": f"http://null.test{PATH}", "body": BODY}
    response = {"status": 200, "headers": [["content-type", "text/event-stream"]], "chunks": chunks}
    return json.dumps({"request": request, "response": response})


def null_test(workers: int = 1, concurrency: int = 1, *, kernel_stamps: bool = True) -> NullTest:
    """Measure this client with so many workers and streams at once (200 a worker at most); some 6 s.

    Untrusted: the test could not be made, so nothing vouches for the client.
    """
    streams = max(workers, min(concurrency, MOST_A_WORKER * workers))
    with tempfile.TemporaryDirectory(prefix="harness-null-") as name:
        place = Path(name)
        (place / "null.jsonl").write_text(recording_line() + "\n")
        log = place / "writes.jsonl"
        command = harness_command("replay", str(place / "null.jsonl"), "--port", "0", "--write-log", str(log))
        with Child(command, quiet=True) as server:
            folder = run(place / "run", server.url, workers, streams, kernel_stamps=kernel_stamps)
        return compare(list(results(folder)), plays(log))


def run(path: Path, url: str, workers: int, streams: int, *, kernel_stamps: bool) -> Folder:
    """A short run: each stream once."""
    folder = Folder(path)
    plan = Plan(
        target=url,
        loop=Closed(concurrency=streams, ramp_s=RAMP_S),
        workers=workers,
        request_count=streams,
        kernel_stamps=kernel_stamps,
        save_events=True,
        mark_requests=True,
        drain_s=LIMIT_S,
    )
    folder.write(plan, [Call(path=PATH, body=BODY)])
    with LocustChild(folder, workers, env=STRAIGHT) as child:
        if child.wait(LIMIT_S) != 0:
            last = child.output_tail(1)
            raise Untrusted(f"the null test failed ({last}): try it again, or leave it out")
    return folder


def results(folder: Folder) -> Iterator[Result]:
    """What the client says."""
    for path in folder.path.glob("records-*.jsonl"):
        for line in path.read_bytes().splitlines():
            record = RECORD.validate_json(line)
            if isinstance(record, Result):
                yield record


@dataclass(frozen=True, slots=True)
class Played:
    """What the server says of one play: its t0, and when it wrote each event."""

    t0_ns: int
    written_ns: list[int]


def plays(log: Path) -> dict[int, Played]:
    """What the server says, by the request's number."""
    rows = [json.loads(line) for line in log.read_bytes().splitlines()]
    return {int(row["request"]): Played(row["t0_ns"], written(row["writes"])) for row in rows}


def written(writes: list[list[int]]) -> list[int]:
    """When each event's last byte was written, of a whole play: its last write ends the last chunk."""
    sizes = [len(b"%x\r\n%b\r\n" % (len(data), data)) for data in events()]
    head = writes[-1][1] - sum(sizes) - len(LAST_CHUNK)
    ends = [head + end for end in accumulate(sizes)]
    times, place = [], 0
    for end in ends:
        while writes[place][1] < end:
            place += 1
        times.append(writes[place][0])
    return times


def compare(found: list[Result], played: dict[int, Played]) -> NullTest:
    """Join both sides. Untrusted: a stream is missing on one of them, or is not whole."""
    error, sent, ttft = [], [], []
    for result in found:
        play = played.get(result.number)
        if play is None or result.offsets is None or len(result.offsets) != EVENTS:
            raise Untrusted("the null test lost a stream: try it again, or leave it out")
        came = [result.sent_ns + offset for offset, _ in result.offsets]
        error += [abs(at - wrote) for at, wrote in zip(came, play.written_ns, strict=True)]
        sent.append(play.t0_ns - result.sent_ns)
        ttft.append((came[0] - result.sent_ns) - (play.written_ns[0] - play.t0_ns))
    stamps = {result.stamps for result in found}
    kind = Stamps.KERNEL if stamps == {Stamps.KERNEL} else Stamps.READER
    return NullTest(len(found), summed(error), summed(sent), summed(ttft), kind)


def summed(values: list[int]) -> Summary:
    """The distribution. Untrusted: there is nothing in it."""
    summary = Summary.of(values)
    if summary is None:
        raise Untrusted("the null test saw no stream: try it again, or leave it out")
    return summary
