"""The official SDKs get from a replay exactly what they got from the real model server, field by field."""

import asyncio

import pytest

from harness.child import Child, harness_command
from harness.demo.conversations import CONVERSATIONS, Call
from harness.demo.model_server import ModelServer
from harness.demo.sdks import Answer, async_clients, play, play_async, sync_clients

type Answers = dict[str, Answer]


def played(url: str) -> Answers:
    with sync_clients(f"{url}/v1", url) as clients:
        return {call.name: play(call, clients) for call in CONVERSATIONS}


async def played_async(url: str) -> Answers:
    async with async_clients(f"{url}/v1", url) as clients:
        return {call.name: await play_async(call, clients) for call in CONVERSATIONS}


@pytest.fixture(scope="module")
def sides(
    model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Answers, ...]]:
    """What the sync and then the async SDKs got: through the recorder, and from its recording."""
    recording = str(tmp_path_factory.mktemp("parity") / "a.db")
    record = harness_command(
        "record", "--quiet", "--upstream", model_server.url, "--port", "0", "--db", recording
    )
    with Child(record) as recorder:
        live = played(recorder.url), asyncio.run(played_async(recorder.url))
    assert recorder.process.returncode == 0
    with Child(harness_command("replay", recording, "--port", "0", "--speed", "0")) as replay:
        again = played(replay.url), asyncio.run(played_async(replay.url))
    assert replay.process.returncode == 0
    return {"live": live, "again": again}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("call", CONVERSATIONS, ids=lambda call: call.name)
def test_replay_gives_the_sdk_what_the_model_server_gave(
    sides: dict[str, tuple[Answers, ...]], call: Call, how: str
) -> None:
    place = ["sync", "async"].index(how)
    assert sides["again"][place][call.name] == sides["live"][place][call.name]


def test_the_answers_are_what_the_calls_are_named_for(sides: dict[str, tuple[Answers, ...]]) -> None:
    for answers in sides["live"]:
        failed = {name for name, answer in answers.items() if "raised" in answer}
        assert failed == {"chat, an error", "messages, an error"}
        assert answers["chat, asked twice"] != answers["chat, asked twice, the second time"]
        assert answers["chat, tool call, streamed"][-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert answers["chat, streamed with usage"][-1]["usage"]["completion_tokens"] > 1
        assert [len(answers[call.name]) for call in CONVERSATIONS if call.take] == [5, 4]
