"""A run with secrets in all places that we know of: no byte of them is kept or printed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.exchange import Exchange
from harness.core.json_text import is_json
from harness.store.open import open_recording
from tests.plugins.planted import ENVIRONMENT, OF_RUN, OPTIONS, PLANTED, RULES, Planted, kept_of, said_by

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

BROKEN = "/broken"


def path_of(place: int, planted: Planted) -> str:
    return f"/p{place}{planted.exchange.request.path}"


def play(upstream: "Upstream", path: str, exchange: Exchange) -> None:
    """Have the upstream answer so."""
    assert exchange.response
    head = upstream.head(200, *(f"{name}: {value}" for name, value in exchange.response.headers))
    upstream.on(path, head, *(upstream.chunk(data) for _, data in exchange.response.chunks), upstream.LAST)


def ask(recorder: "Recorder", path: str, exchange: Exchange) -> None:
    """Send a request, and read the answer to its end."""
    headers = [f"{name}: {value}" for name, value in exchange.request.headers]
    with recorder.client() as client:
        client.send("POST", path, exchange.request.body, "Connection: close", *headers)
        client.read_all()


def kept_in(*folders: Path) -> bytes:
    """All bytes of all files: recording, log, what was printed, what is temporary."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files)


def test_no_secret_is_kept_or_printed(
    start_recorder: Callable[..., "Recorder"],
    upstream: "Upstream",
    wait_until: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    recorder = start_recorder("--upstream", upstream.url, *OPTIONS, env=environment).listen()
    for place, planted in enumerate(PLANTED):
        play(upstream, path := path_of(place, planted), planted.exchange)
        ask(recorder, path, planted.exchange)
    upstream.on(BROKEN, f"HTTP/1.1 200 OK\r\nX-Key: {OF_RUN}".encode(), upstream.CLOSE)
    ask(recorder, BROKEN, PLANTED[0].exchange)
    wait_until(lambda: len(recorder.exchanges()) == len(PLANTED) + 1, "not all was stored")
    folders = (recorder.db.parent, tmp_path)
    while_it_runs = kept_in(*folders)
    assert recorder.stop() == 0
    everything = (while_it_runs, kept_in(*folders), recorder.rest.encode())
    secrets = [planted.secret for planted in PLANTED]
    assert [secret for secret in secrets if any(kept_of(data, secret) for data in everything)] == []
    check_exchanges(recorder)
    check_counts(recorder)


def check_exchanges(recorder: "Recorder") -> None:
    """Also piece by piece nothing is said, and chunks, times and JSON are what they were."""
    found = {exchange.request.path.split("/")[1]: exchange for exchange in recorder.exchanges()}
    for place, planted in enumerate(PLANTED):
        exchange = found[f"p{place}"]
        assert not any(kept_of(data, planted.secret) for data in said_by(exchange)), planted.place
        assert exchange.response
        assert planted.exchange.response
        sent = planted.exchange.response.body
        if not exchange.rewritten:
            assert len(exchange.response.body) == len(sent), planted.place
            assert is_json(exchange.response.body) == is_json(sent), planted.place


def check_counts(recorder: "Recorder") -> None:
    """What was masked is counted by rule, in the closing lines and with the capture."""
    with open_recording(recorder.db) as recording:
        (capture,) = recording.captures()
    assert capture.redaction == RULES
    for rule in (
        "header authorization",
        "query",
        "form",
        "multipart",
        "field password",
        "field ssn",
        "bearer",
    ):
        assert capture.masked[rule] >= 1, rule
    for rule in ("basic", "userinfo", "email", "pattern 1", "path $.metadata.account", "secret of this run"):
        assert capture.masked[rule] >= 1, rule
    (line,) = [line for line in recorder.errors().splitlines() if "masked" in line]
    assert line.startswith(f"harness record: masked {sum(capture.masked.values())} places: ")
