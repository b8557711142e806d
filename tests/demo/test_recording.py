"""The committed recording: small, without secrets, and still an answer to every conversation."""

from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange
from harness.demo.conversations import CONVERSATIONS
from harness.demo.model_server import FAST
from harness.demo.recording import make
from harness.demo.sdks import KEY, Answer, play, sync_clients
from harness.store.open import open_recording
from harness.testing.served import Replay

RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"


@pytest.fixture(scope="module")
def exchanges() -> list[Exchange]:
    with open_recording(RECORDING) as recording:
        return list(recording.exchanges())


def test_it_is_small_has_all_dialects_and_all_ends_that_a_client_makes(exchanges: list[Exchange]) -> None:
    assert RECORDING.stat().st_size < 500_000
    assert len(exchanges) == len(CONVERSATIONS)
    assert {derive(exchange).dialect for exchange in exchanges} == {
        "openai.chat",
        "openai.completions",
        "openai.responses",
        "openai.embeddings",
        "anthropic.messages",
        "bytes",
    }
    assert {exchange.state.value for exchange in exchanges} == {"complete", "client_abort"}


def test_it_holds_no_key_and_no_place_of_the_machine_it_was_made_on() -> None:
    data = RECORDING.read_bytes()
    assert b"Bearer [redacted]" in data
    assert [word for word in (KEY, "/root", "/home", "/tmp") if word.encode() in data] == []


@pytest.mark.harness(RECORDING)
def test_it_answers_every_conversation(exchanges: list[Exchange], harness_replay: Replay) -> None:
    """If this misses, the conversations were changed: `make recording` makes it anew."""
    with sync_clients(f"{harness_replay.url}/v1", harness_replay.url) as clients:
        answers = [play(call, clients) for call in CONVERSATIONS]
    streams = [
        (text_of(answer), derive(exchange).text)
        for call, answer, exchange in zip(CONVERSATIONS, answers, exchanges, strict=True)
        if call.method == "chat.completions.create" and call.streams and call.take is None
    ]
    assert len(streams) == 5
    for answered, recorded in streams:
        assert answered == recorded


def test_making_it_anew_replaces_it_by_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "tiny.db"
    path.write_text("the one before")
    make(path, layers=FAST)
    with open_recording(path) as recording:
        assert len(list(recording.exchanges())) == len(CONVERSATIONS)
    assert [found.name for found in tmp_path.iterdir()] == ["tiny.db"]


def text_of(answer: Answer) -> str:
    """The text of a chat stream as an SDK saw it."""
    choices = [event["choices"][0] for event in answer if event["choices"]]
    return "".join(choice["delta"]["content"] or "" for choice in choices)
