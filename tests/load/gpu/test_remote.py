"""Reading another host: what harness serves comes back as it was, dcgm-exporter's text is dated by change."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from harness.child import Child, harness_command
from harness.core.errors import BadInput
from harness.load.gpu.lines import LineWriter
from harness.load.gpu.records import Ended, GpuRecord, Process, Sample, What
from harness.load.gpu.remote import UrlReader, checked
from tests.plugins.cards import GPU_A, GPU_B, Log

type Environment = Callable[..., dict[str, str]]

TEXT = (Path(__file__).parent / "dcgm.txt").read_text(encoding="utf-8")


class Page:
    """A web page that changes; None: answers 503."""

    def __init__(self) -> None:
        self.text: str | None = ""
        self.asked = 0


@contextmanager
def served(page: Page) -> Iterator[str]:
    """The page, at a URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked += 1
            self.send_response(200 if page.text is not None and self.path == "/metrics" else 503)
            self.end_headers()
            self.wfile.write((page.text or "").encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def both_sides(cards: Environment, tmp_path_factory: pytest.TempPathFactory) -> tuple[Log, Log]:
    """The logs of `harness gpu --serve --json`, and of one that read it over HTTP meanwhile."""
    folder = tmp_path_factory.mktemp("served")
    environment = cards(NVML_XID="0:79@2", NVML_LOST="1@2", NVML_LACKS="1:energy")
    command = harness_command("gpu", "--serve", "127.0.0.1:0", "--rate", "10", "--json", "--duration", "4")
    with (folder / "there.jsonl").open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        url = process.stderr.readline().split()[4]
        with (folder / "here.jsonl").open("w", encoding="utf-8") as here:
            UrlReader(url, 10).run(LineWriter(here).take, Flag(), 2.5)
        assert process.wait(60) == 0
        process.stderr.close()
    return Log(folder / "there.jsonl"), Log(folder / "here.jsonl")


def test_cards_come_over_as_they_are(both_sides: tuple[Log, Log]) -> None:
    there, here = both_sides
    assert here.cards == there.cards


def test_times_are_carried_over_within_their_error(both_sides: tuple[Log, Log]) -> None:
    there, here = both_sides  # one machine: both clocks are the same
    taken = {value: at_ns for at_ns, _, value in there.of(GPU_A, "energy_mj")}
    carried = here.of(GPU_A, "energy_mj")
    assert len({value for _, _, value in carried}) == len(carried) > 5  # each sample once
    for at_ns, error_ns, value in carried:
        assert error_ns is not None
        assert abs(at_ns - taken[value]) <= error_ns


def test_values_and_processes_come_over(both_sides: tuple[Log, Log]) -> None:
    there, here = both_sides
    names = {name for sample in there.samples for name in sample.values}
    for gpu in (GPU_A, GPU_B):
        for name in names - {"energy_mj", "violation_power_ns"}:
            assert here.values(gpu, name) == there.values(gpu, name), (gpu, name)
    processes = {sample.processes for sample in here.samples} - {None}
    assert processes == {(Process(pid=4242, memory_bytes=8 << 30), Process(pid=4343))}


def test_what_happens_comes_over(both_sides: tuple[Log, Log]) -> None:
    there, here = both_sides
    for gpu in (GPU_A, GPU_B):
        assert sorted(map(str, here.told(gpu, What.UNSUPPORTED))) == sorted(
            map(str, there.told(gpu, What.UNSUPPORTED))
        )
    for what in (What.XID, What.LOST):
        (then,), (seen,) = ([e for e in log.events if e.what is what] for log in both_sides)
        assert (seen.gpu, seen.code if what is What.XID else None) == (then.gpu, then.code)
        assert abs(seen.at_ns - then.at_ns) <= seen.error_ns


def read(url: str, *changes: Callable[[], object], rate_hz: float = 10) -> list[GpuRecord]:
    """What a reader tells, with a change of the page between two of its questions."""
    records: list[GpuRecord] = []
    reader = UrlReader(url, rate_hz)
    for change in (lambda: None, *changes):
        change()
        reader.tick(records.append)
    return records


def test_what_has_no_stamp_is_dated_by_its_change() -> None:
    page = Page()
    page.text = TEXT

    def change() -> None:
        page.text = TEXT.replace("412.305", "399.0")

    with served(page) as url:
        records = read(url, lambda: None, change, lambda: None)
    first, second = (r for r in records if isinstance(r, Sample) and "power_mw" in r.values)
    assert [first.values["power_mw"], second.values["power_mw"]] == [412_305, 399_000]
    assert first.error_ns is None
    assert second.error_ns is not None
    assert first.at_ns < second.at_ns + second.error_ns
    assert second.at_ns - second.error_ns > first.at_ns - 1_000_000_000


def test_errors_from_before_are_not_ours_and_new_ones_are() -> None:
    page = Page()
    with_error = TEXT.replace('gpu-node-1"} 0\n', 'gpu-node-1"} 31\n')

    def change() -> None:
        page.text = TEXT.replace('gpu-node-1"} 0\n', 'gpu-node-1"} 79\n')

    page.text = with_error
    with served(page) as url:
        records = read(url, change)
    assert [record.code for record in records if record.kind == "event" and record.what is What.XID] == [79]


def test_a_host_that_goes_away_is_told_once_and_asked_again() -> None:
    page = Page()
    page.text = TEXT

    def change(text: str | None) -> Callable[[], None]:
        return lambda: setattr(page, "text", text)

    with served(page) as url:
        records = read(url, change(None), change(None), change(TEXT.replace("412", "300")), change(""))
    away = [record for record in records if record.kind == "event" and record.what is What.UNREACHABLE]
    assert [(event.gpu, event.detail) for event in away] == [
        (None, "HTTP 503"),
        (None, "the answer holds neither metrics of harness gpu --serve nor of dcgm-exporter"),
    ]
    power = [r.values["power_mw"] for r in records if isinstance(r, Sample) and "power_mw" in r.values]
    assert power == [412_305, 300_305]


def test_a_run_ends_with_the_end() -> None:
    page, records = Page(), list[GpuRecord]()
    page.text = TEXT
    with served(page) as url:
        UrlReader(url, 10, ["1"]).run(records.append, Flag(), 0.2)
    assert isinstance(records[-1], Ended)
    assert {r.gpu for r in records if isinstance(r, Sample)} == {"GPU-22222222-2222-2222-2222-222222222222"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>hello</html>",
        "up 1\n",
        *(f"harness_gpu_clock_monotonic_ns{rest}\n" for rest in (" nonsense", " +Inf", " NaN", "_x 1")),
        None,
    ],
)
def test_what_holds_no_metrics(text: str | None) -> None:
    page = Page()
    page.text = text
    with served(page) as url, pytest.raises(BadInput, match=rf"no GPU metrics at {url}/metrics: "):
        UrlReader(url, 10)


def test_nobody_there() -> None:
    with pytest.raises(BadInput, match="metrics: Connection refused"):
        UrlReader("http://127.0.0.1:1", 10)


@pytest.mark.parametrize("url", ["ftp://a/metrics", "http://", "http://a:port/", "//a", "a:9400"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BadInput, match="is no URL to read GPU metrics from"):
        checked(url)


def test_the_path_of_a_url() -> None:
    assert checked("http://a:9400") == checked("http://a:9400/") == "http://a:9400/metrics"
    assert checked("https://a/gpu?x=1") == "https://a/gpu?x=1"


def test_harness_gpu_serves_until_it_is_stopped(cards: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in cards().items():
        monkeypatch.setenv(name, value)
    with Child([sys.executable, "-m", "harness", "gpu", "--serve", "127.0.0.1:0"]) as child:
        reader = UrlReader(child.url, 5)
        (first, *_) = reader.read()
        assert first.card.gpu == GPU_A
    assert child.process.returncode == 0
