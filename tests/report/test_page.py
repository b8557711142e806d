"""The page in a real browser: it opens without errors, draws, obeys the keyboard, runs nothing of others."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.load.records import Outcome, Result
from harness.report.compare import comparison
from harness.report.model import Lane, Report, Series
from harness.report.page import STATIC, page
from harness.report.probe import probe_report
from harness.report.read import read_exchanges, read_run
from harness.report.words import digits
from harness.store.gpu_log import Owner
from tests.plugins.browser import Browser, Page
from tests.plugins.probes import made_probe
from tests.plugins.results import made_failure, made_result
from tests.plugins.stored import stored_card, stored_hosts, stored_run

type Opened = Callable[..., Page]

RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
EVIL = "</script><img src=x onerror=document.title='pwned'><!--<script>\u2028${document.title='pwned'}"
MANY = 100_000
OPEN_S = 3.0
"""How soon a page of so many requests must be open; it takes about a tenth of that."""


def requests(count: int = 40) -> Iterator[Result]:
    """Requests 50 ms apart, every seventh of which fails."""
    for number in range(count):
        at = 50 * number
        if number % 7 == 6:
            yield made_failure(number, Outcome.TRUNCATED, error=EVIL, scheduled=at, sent=at + 1, end=at + 40)
            continue
        moved = {
            "first_byte": 90,
            "first_token": 100 + number % 13,
            "second_token": 120,
            "last_token": 140,
            "end": 150,
        }
        times = {name: at + 1 + time for name, time in moved.items()}
        yield made_result(number, model=EVIL, scheduled=at, sent=at + 1, **times)


def sweep(path: Path) -> None:
    """A sweep of two runs in a recording, the second with a host and a card."""
    for rate in (10.0, 20.0):
        run_id = stored_run(path, requests(), loop="open", rate=rate, sweep="s", name=EVIL)
    stored_hosts(path, run_id, [50, 60, 70])
    samples = ({"at_ms": 500 * k, "power_mw": 100_000.0 * k} for k in range(6))
    stored_card(path, run_id, samples, {"at_ms": 900, "what": "xid", "code": 43, "detail": EVIL})


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Opened:
    """Opens the page of a report, and has it draw everything."""

    def show(report: Report, *, dark: bool = False) -> Page:
        (tmp_path / "page.html").write_text(page(report), encoding="utf-8")
        found = browser.open(tmp_path / "page.html", dark=dark)
        found.wait_for("document.documentElement.dataset.readyMs")
        for event in ("beforeprint", "afterprint"):  # paper shows everything
            found.evaluate(f"dispatchEvent(new Event('{event}'))")
        return found

    return show


@pytest.fixture
def shown(opened: Opened, tmp_path: Path) -> Page:
    """The page of a run."""
    sweep(tmp_path / "run.db")
    return opened(read_run(tmp_path / "run.db"))


def points(found: Page, kind: str) -> list[int]:
    """How many points the charts of a kind were drawn of."""
    counts = found.evaluate(
        f"[...document.querySelectorAll('[data-chart={kind}]')].map(c => +c.dataset.points)"
    )
    return [int(count) for count in counts]


def painted(found: Page) -> list[int]:
    """How many pixels of each chart are not empty."""
    counting = """[...document.querySelectorAll('[data-chart] canvas')].map(c =>
        c.getContext('2d').getImageData(0, 0, c.width, c.height).data
        .filter((v, i) => i % 4 === 3 && v > 0).length)"""
    return [int(count) for count in found.evaluate(counting)]


def test_a_run_opens_without_errors_and_all_charts_have_data(shown: Page) -> None:
    kinds = ("distribution", "overtime", "sweep", "waterfall", "lane")
    drawn = {kind: points(shown, kind) for kind in kinds}
    assert [len(drawn[kind]) for kind in kinds] == [6, 3, 3, 1, 7]
    assert drawn["waterfall"] == [40]
    assert drawn["sweep"] == [2, 2, 2]
    assert all(count >= 1 for counts in drawn.values() for count in counts)
    assert min(painted(shown)) > 500
    assert shown.errors() == []


def test_nothing_of_others_runs_or_becomes_markup(shown: Page) -> None:
    shown.evaluate("document.querySelector('[data-chart=waterfall]').focus()")
    for _ in range(7):
        shown.press("ArrowDown", 40)
    assert "onerror" in shown.evaluate("document.getElementById('detail').textContent")
    assert "onerror" in shown.evaluate("document.querySelector('h1').textContent")
    assert shown.evaluate("document.querySelectorAll('img').length") == 0
    assert shown.evaluate("document.scripts.length") == 3
    assert "pwned" not in shown.evaluate("document.title.replace(/='pwned'/g, '')")
    assert shown.errors() == []


def test_the_policy_lets_no_other_script_and_no_network_in(shown: Page) -> None:
    shown.evaluate("""(() => {
        const s = document.createElement('script');
        s.textContent = 'window.ran = 1';
        document.body.append(s);
    })()""")
    assert shown.evaluate("window.ran") is None
    assert shown.evaluate("fetch('http://127.0.0.1:9/').then(() => 'came', () => 'refused')") == "refused"
    assert any("Content Security Policy" in text for text in shown.errors())


def test_zoom_is_one_for_all_charts_over_time_and_keys_move_it(shown: Page) -> None:
    shown.evaluate("document.querySelector('[data-chart=lane]').focus()")
    shown.press("+", 187, "+")
    low, high = map(float, shown.evaluate("document.documentElement.dataset.view").split())
    shown.press("ArrowRight", 39)
    moved = list(map(float, shown.evaluate("document.documentElement.dataset.view").split()))
    assert moved[0] - low == pytest.approx((high - low) / 4, rel=0.01)
    shown.press("Escape", 27)
    whole = list(map(float, shown.evaluate("document.documentElement.dataset.view").split()))
    assert whole[1] - whole[0] == pytest.approx(2 * (high - low), rel=0.01)


def test_a_request_is_chosen_with_the_keyboard_and_failures_alone_are_shown(shown: Page) -> None:
    fall = "document.querySelector('[data-chart=waterfall]')"
    shown.evaluate(f"{fall}.focus()")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        shown.press(key, {"ArrowDown": 40, "ArrowUp": 38}[key])
    assert shown.evaluate(f"{fall}.dataset.chosen") == "1"
    told = shown.evaluate("document.getElementById('detail').textContent")
    assert "TTFT101 ms" in told
    shown.evaluate("document.getElementById('only-failed').click()")
    assert shown.evaluate(f"{fall}.dataset.rows") == "5"


def test_dark_follows_the_system_until_the_button_says_else(shown: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = shown.evaluate(ground)
    shown.dark(True)
    assert shown.evaluate(ground) != light
    shown.wait_for("document.getElementById('theme').textContent === 'Light'")
    shown.evaluate("document.getElementById('theme').focus()")
    shown.press("Enter", 13, "\r")
    assert shown.evaluate(ground) == light
    assert shown.errors() == []


def test_latencies_over_time_have_a_log_scale_too(shown: Page) -> None:
    linear = painted(shown)
    pixel = """(c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join())(
        document.querySelector('[data-chart=overtime] canvas'))"""
    shown.evaluate(f"window.linear = {pixel}, 0")
    shown.evaluate("document.getElementById('log').click()")
    shown.wait_for(f"{pixel} !== window.linear")
    assert len(painted(shown)) == len(linear)
    assert min(painted(shown)) > 500
    shown.evaluate("document.querySelector('[data-zoom=in]').click()")
    assert shown.errors() == []


def test_a_chart_over_time_is_a_table_too(shown: Page) -> None:
    shown.evaluate("document.querySelector('#lanes ~ * figcaption summary').click()")
    cells = "[...document.querySelectorAll('.tabled tr:nth-child(60) > *')].map(cell => cell.textContent)"
    shown.wait_for(f"{cells}.length")
    assert [float(text) for text in shown.evaluate(cells)] == pytest.approx([1.04, 2.8], rel=0.2)


def test_charts_round_as_the_tables_do(opened: Opened, tmp_path: Path) -> None:
    """Also what lies in the middle, or seems to: 6.715 is a little less in a float, 0.0625 is exact."""
    values = (6.715, 5.555, 2.675, 0.0625, 1.125, 1.375, 12.25, 12.35, 100.5, 101.5, 0.0005, 1234.5, -6.715)
    sweep(tmp_path / "run.db")
    told = Lane(title="told", unit="", at_s=values, series=(Series(name="of", values=values),))
    found = opened(read_run(tmp_path / "run.db").model_copy(update={"lanes": (told,)}))
    found.evaluate("document.querySelector('#lanes ~ * figcaption summary').click()")
    cells = "[...document.querySelectorAll('.tabled td')].map(cell => cell.textContent)"
    found.wait_for(f"{cells}.length")
    assert found.evaluate(cells) == list(map(digits, values))


def test_paper_is_white_also_where_the_page_is_dark(shown: Page) -> None:
    shown.dark(True)
    dark = shown.evaluate("getComputedStyle(document.body).color")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.evaluate("getComputedStyle(document.body).color") != dark
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.evaluate("getComputedStyle(document.body).color") == dark


def test_charts_are_drawn_in_the_colours_of_the_theme(shown: Page) -> None:
    pixel = """(c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].join())(
        document.querySelector('[data-chart=overtime] canvas'))"""
    shown.evaluate(f"window.light = {pixel}, 0")
    shown.dark(True)
    shown.wait_for(f"{pixel} !== window.light")


def test_two_runs_are_drawn_over_each_other(opened: Opened, tmp_path: Path) -> None:
    sweep(tmp_path / "run.db")
    found = opened(comparison(read_run(tmp_path / "run.db", 1), read_run(tmp_path / "run.db", 2)))
    assert (len(points(found, "distribution")), len(points(found, "overtime"))) == (6, 3)
    assert min(painted(found)) > 500
    assert found.errors() == []


def test_a_recording_is_drawn_by_its_tokens(opened: Opened) -> None:
    found = opened(read_exchanges(RECORDING))
    assert points(found, "tokens") == [25]
    assert min(painted(found)) > 500
    assert found.errors() == []


def test_a_capture_with_cards_has_lanes_with_a_zoom_of_their_own(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "recording.db"
    shutil.copy(RECORDING, path)
    samples = ({"at_ms": 500 * k, "power_mw": 100_000.0} for k in range(20))
    xid = {"at_ms": 900, "what": "xid", "code": 43, "detail": EVIL}
    stored_card(path, Owner(capture_id=1), samples, xid)
    found = opened(read_exchanges(path))
    assert points(found, "lane") == [120, 120, 120, 20]
    assert min(painted(found)) > 500
    views = []
    for kind in ("lane", "tokens"):
        found.evaluate(f"document.querySelector('[data-chart={kind}]').focus()")
        found.press("+", 187, "+")
        views.append(float(found.evaluate("document.documentElement.dataset.view").split()[1]))
    assert views[1] < views[0] / 2  # seconds of an exchange, not of the capture
    assert found.evaluate("document.querySelectorAll('img').length") == 0
    assert found.errors() == []


@pytest.fixture
def probed(opened: Opened) -> Page:
    """The page of a probe in which others write markup wherever they can."""
    return opened(probe_report("probe.json", made_probe(EVIL)))


def test_a_probe_is_drawn_and_runs_nothing(probed: Page) -> None:
    drawn = {kind: points(probed, kind) for kind in ("added", "paths")}
    assert drawn["added"] == [6, 6]
    assert min(drawn["paths"]) > 100
    assert min(painted(probed)) > 500
    assert probed.evaluate("document.querySelectorAll('img').length") == 0
    assert probed.evaluate("document.scripts.length") == 3
    assert "pwned" not in probed.evaluate("document.title.replace(/='pwned'/g, '')")
    assert probed.errors() == []


def test_a_probes_page_obeys_the_keyboard_and_the_dark(probed: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = probed.evaluate(ground)
    probed.dark(True)
    assert probed.evaluate(ground) != light
    more = "getComputedStyle(document.querySelector('.places .more')).display"
    assert probed.evaluate(more) == "none"
    probed.evaluate("document.querySelector('.show input').focus()")
    probed.press(" ", 32, " ")
    assert probed.evaluate(more) == "table-row-group"
    assert probed.errors() == []


@pytest.mark.parametrize("done", [None, {"verdict": None}], ids=["nothing happened", "it goes on"])
def test_a_run_without_requests_opens_too(
    opened: Opened, tmp_path: Path, done: dict[str, None] | None
) -> None:
    stored_run(tmp_path / "run.db", [], done)
    found = opened(read_run(tmp_path / "run.db"))
    assert found.errors() == []


def test_a_hundred_thousand_requests_open_in_time(opened: Opened, tmp_path: Path) -> None:
    stored_run(tmp_path / "run.db", requests(MANY), loop="open", rate=20.0)
    found = opened(read_run(tmp_path / "run.db"))
    assert points(found, "waterfall") == [MANY]
    assert int(found.evaluate("document.documentElement.dataset.readyMs")) < OPEN_S * 1000
    assert found.errors() == []


def test_the_data_of_a_page_is_the_document(tmp_path: Path) -> None:
    sweep(tmp_path / "run.db")
    report = read_run(tmp_path / "run.db")
    html = page(report)
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert block is not None
    assert not set("<>&\u2028\u2029") & set(block[1])
    assert json.loads(block[1]) == report.model_dump(mode="json")
    assert "<img" not in html


def test_bundled_files_are_those_that_are_named() -> None:
    told = dict(
        re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", (STATIC / "README.md").read_text(encoding="utf-8"))
    )
    assert told == {
        name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
        for name in ("uPlot.iife.min.js", "uPlot.min.css")
    }
