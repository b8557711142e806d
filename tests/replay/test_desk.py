"""The admin pages without a socket: what each says, what it takes, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.core import admin
from harness.core.census import Census, merged
from harness.core.histogram import Histogram
from harness.replay.connection import Answer
from harness.replay.desk import BODY_LIMIT, PAGES, Facts
from harness.replay.door import Door
from harness.replay.gate import Limits
from tests.replay.doors import CHAT, asking, body, door, head, outcome_of, statuses

DOCS = Path(__file__).parents[2] / "docs" / "admin.md"


def ask(one: Door, name: str, method: str = "GET", said: object = None) -> Answer:
    content = b"" if said is None else json.dumps(said).encode()
    return one.answer(asking(f"/__admin/{name}", content, method=method))


def told(one: Door, name: str, method: str = "GET", said: object = None) -> Any:
    answer = ask(one, name, method, said)
    assert head(answer)[":status"] == "200", body(answer)
    return body(answer)


def metrics(one: Door) -> dict[tuple[str, str], float]:
    text = ask(one, "metrics").playback.blob.partition(b"\r\n\r\n")[2].decode()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {
        (one.name.removeprefix("harness_replay_"), "".join(one.labels.values())): one.value for one in samples
    }


def busy(*faults: str) -> Door:
    """A door that answered two requests, missed two, and played a fault on another."""
    one = door(*faults)
    miss = asking(path="/v1/embeddings?api_key=sk-abcdefghijklmnopqrstuvwx", body=b'{"model":"m"}')
    statuses(
        one,
        asking(),
        asking(),
        miss,
        asking(body=b'{"model":"x"}'),
        asking(x_harness_fault="error;status=503"),
    )
    return one


def test_the_journal_says_what_each_request_got() -> None:
    found = admin.Journal.model_validate(told(busy(), "requests"))
    assert [(one.result.value, one.exchange, one.fault) for one in found.requests] == [
        ("matched", "1", None),
        ("matched", "2", None),
        ("missed", None, None),
        ("missed", None, None),
        ("fault", None, "error; status=503"),
    ]
    assert (found.count, found.kept) == (5, 1000)
    assert found.requests[2].request == "POST /v1/embeddings?api_key=[redacted]"
    assert found.requests[0].at.endswith("Z")


def test_the_journal_tells_the_latest_of_a_result() -> None:
    one = busy()
    for query, results in {
        "limit=2": ["missed", "fault"],
        "result=matched&limit=1": ["matched"],
        "result=limited": [],
        "limit=0": [],
    }.items():
        assert [entry["result"] for entry in told(one, f"requests?{query}")["requests"]] == results


def test_the_journal_is_bounded() -> None:
    one = door()
    one.journal = type(one.journal)(2)
    statuses(one, *[asking()] * 5)
    found = told(one, "requests")
    assert (found["count"], len(found["requests"])) == (5, 2)


def test_of_several_processes_no_more_is_told_than_is_kept() -> None:
    result = admin.Result.MATCHED
    entries = tuple(
        admin.JournalEntry(t0_ns=t0_ns, at="", request="", result=result, exchange=None, fault=None)
        for t0_ns in range(4)
    )
    received = tuple(admin.ReceivedRequest(t0_ns=t0_ns, request={}) for t0_ns in range(4))
    some = [Census(journal=entries[n::2], received=received[n::2]) for n in range(2)]
    facts = Facts({}, (), 1.0, kept=2, received=1, workers=2)
    told = [PAGES[name].show(merged(some), facts, 100) for name in ("requests", "received")]
    assert [[one.t0_ns for one in page.requests] for page in told] == [[2, 3], [3]]  # type: ignore[union-attr]


def test_unmatched_near_misses_and_unused() -> None:
    one = busy()
    assert told(one, "unmatched")["count"] == 2
    near = admin.NearMisses.model_validate(told(one, "near-misses"))
    assert near.count == 2
    assert near.near_misses[1].nearest[0].differences[0].where == "body/model"
    assert told(one, "unused") == {"count": 1, "exchanges": [{"id": "3", "request": f"POST {CHAT}"}]}
    assert told(one, "unused?limit=0") == {"count": 1, "exchanges": []}


def test_speed_is_told_and_set() -> None:
    one = door(speed=2)
    assert told(one, "speed") == {"speed": 2.0}
    assert told(one, "speed", "PUT", {"speed": 0}) == {"speed": 0.0}
    assert one.answer(asking()).speed == 0
    assert told(one, "health")["speed"] == 0


def test_metrics_add_up() -> None:
    one = busy("cut;event=1;path=/never")
    one.site.lateness.samples.extend((-50_000, 90_000, 3_000_000))
    found = metrics(one)
    for name, value in {
        ("requests_total", "matched"): 2,
        ("requests_total", "missed"): 2,
        ("misses_total", ""): 2,
        ("faults_total", "error; status=503"): 1,
        ("exchanges", ""): 3,
        ("open_streams", ""): 0,
        ("lateness_seconds_bucket", "0.0"): 1,
        ("lateness_seconds_bucket", "0.0001"): 2,
        ("lateness_seconds_bucket", "0.005"): 3,
        ("lateness_seconds_count", ""): 3,
    }.items():
        assert found[name] == value, name
    assert found["lateness_seconds_sum", ""] == pytest.approx(0.00304, rel=0.05)


def test_a_reset_begins_again_and_the_sum_at_the_end_is_whole() -> None:
    one = busy("error;status=500;first=1;path=/v1/models")
    assert statuses(one, asking("/v1/models"), asking("/v1/models")) == ["500", "404"]
    assert told(one, "reset", "POST") == {"status": "ok"}
    assert told(one, "requests") == {"count": 0, "kept": 1000, "requests": []}
    assert told(one, "unmatched")["count"] == 0
    assert told(one, "timing")["writes"] == 0
    assert told(one, "faults")["rules"][0]["fitted"] == 0
    assert statuses(one, asking("/v1/models")) == ["500"], "the rule begins again"
    assert one.answer(asking()).label == "1", "and repeats do"
    outcome = outcome_of(one)
    assert (outcome.requests, outcome.answered, outcome.missed, outcome.exit_code) == (9, 3, 3, 1)
    assert sum(outcome.misses.values()) == 3
    assert outcome.faults == {"error; status=503": 1, "error; status=500": 2}
    assert outcome.unused == (f"3 POST {CHAT}",)


@pytest.mark.parametrize(
    ("what", "repeat", "count"),
    [("cursors", "1", 5), ("journal", "2", 5), ("counters", "2", 0), ("faults", "2", 5), ("limits", "2", 5)],
)
def test_a_reset_of_one_thing_leaves_the_others(what: str, repeat: str, count: int) -> None:
    one = busy()
    told(one, "reset", "POST", {"what": [what]})
    found = told(one, "requests")
    assert found["count"] == count
    assert bool(found["requests"]) == (what != "journal")
    assert one.answer(asking()).label == repeat


def test_a_limit_can_begin_again() -> None:
    one = door(limits=Limits(requests=1))
    assert statuses(one, asking(), asking()) == ["200", "429"]
    told(one, "reset", "POST", {"what": ["limits"]})
    assert statuses(one, asking(), asking()) == ["200", "429"]


@pytest.mark.parametrize(
    ("method", "page", "content", "said"),
    [
        ("PUT", "speed", b"", "the body is no JSON"),
        ("PUT", "speed", b"3", "the body is no JSON object"),
        ("PUT", "speed", b"{}", "speed: is missing"),
        ("PUT", "speed", b'{"speed": -1}', "speed: Input should be greater than or equal to 0"),
        ("PUT", "speed", b'{"speed": "2"}', "speed: Input should be a valid number"),
        ("PUT", "speed", b'{"speed": true}', "speed: Input should be a valid number"),
        ("PUT", "speed", b'{"speed": NaN}', "speed: Input should be a finite number"),
        ("PUT", "speed", b'{"speed": 1, "sped": 2}', "sped: a speed has no such field; it has speed"),
        ("POST", "reset", b"\xff", "the body is no JSON"),
        ("POST", "reset", b'{"what": ["all"]}', "what.0: Input should be 'cursors', 'journal'"),
        ("POST", "reset", b'{"session": "a", "what": ["journal"]}', "session: one session has cursors alone"),
        ("POST", "reset", b"[" * 100_000, ""),
        ("GET", "requests?limit=x", b"", "limit: Input should be a valid integer"),
        ("GET", "requests?result=good", b"", "result: Input should be 'matched'"),
        ("POST", "reset?what=cursors", b"", "what: the query has no such field; it has none"),
        ("GET", "unused?count=1", b"", "count: the query has no such field; it has limit"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(method: str, page: str, content: bytes, said: str) -> None:
    one = busy()
    answer = one.answer(asking(f"/__admin/{page}", content, method=method))
    assert head(answer)[":status"] == "400"
    message = body(answer)["error"]["message"]
    assert said in message
    assert "\n" not in message
    assert one.answer(asking()).label == "2", "nothing was changed"


def test_a_body_that_no_page_takes_is_refused() -> None:
    answer = door().answer(asking("/__admin/faults", b" " * (BODY_LIMIT + 1), method="PUT"))
    assert head(answer)[":status"] == "413"
    assert body(answer)["error"]["message"] == "harness: the body is over the limit of 4 MiB"


def test_the_admin_path_itself_is_no_miss() -> None:
    one = door()
    answers = [one.answer(asking(path, method="GET")) for path in ("/__admin", "/__admin?x=1", "/__admin/")]
    assert {head(answer)[":status"] for answer in answers} == {"404"}
    assert all("there are /__admin/health, " in body(answer)["error"]["message"] for answer in answers)
    assert outcome_of(one).missed == 0
    one.answer(asking("/__administrators"))
    assert outcome_of(one).missed == 1


@pytest.mark.parametrize("name", PAGES)
def test_each_page_says_what_it_takes(name: str) -> None:
    answer = ask(door(), name, "PATCH")
    assert (head(answer)[":status"], head(answer)["allow"]) == ("405", ", ".join(PAGES[name].methods))


def test_the_docs_have_every_page_result_and_metric() -> None:
    rows = [line.split("|") for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| `")]
    listed = {row[1].strip().strip("`"): row[2].strip() for row in rows}
    for name, page in PAGES.items():
        assert listed[f"/__admin/{name}"] == ", ".join(method for method in page.methods if method != "HEAD")
    first = "".join(row[1] for row in rows)
    assert [one for one in admin.Result if f"`{one}`" not in first] == []
    assert [
        name for name, _ in metrics(busy()) if f"harness_replay_{name.partition('_bucket')[0]}" not in first
    ] == [
        "lateness_seconds_count",
        "lateness_seconds_sum",
    ]


def test_bytes_that_are_no_text_are_told() -> None:
    one = door()
    one.answer(asking(x_odd="\udcfe"))
    assert ["x-odd", "\udcfe"] in told(one, "received")["requests"][0]["request"]["headers"]


def test_admin_requests_are_no_requests() -> None:
    one = door()
    for name in PAGES:
        ask(one, name)
    assert told(one, "requests")["count"] == outcome_of(one).requests == 0


def test_censuses_add_up() -> None:
    late = [Histogram(), Histogram()]
    late[0].add([5, 7_000_000])
    late[1].add([9_000_001, 3])
    some = [
        Census(
            requests=number,
            results={"matched": number},
            played={"cut": 1},
            lateness=one.pairs(),
            worst_ns=one.worst,
            unused=unused,
            rules=(admin.FaultRule(rule="r", fitted=number, played=1, unfit=0),),
        )
        for number, one, unused in zip((2, 3), late, (("1", "2", "3"), ("3", "2")), strict=True)
    ]
    both = merged(some)
    assert (both.requests, both.results, both.played, both.unused) == (
        5,
        {"matched": 5},
        {"cut": 2},
        ("2", "3"),
    )
    assert both.rules == (admin.FaultRule(rule="r", fitted=5, played=2, unfit=0),)
    assert (both.written.writes, both.written.max_ms) == (4, 9.0)
    assert merged(some[:1]) == some[0]
