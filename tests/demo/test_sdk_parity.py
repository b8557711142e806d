"""The official SDKs get from a replay exactly what they got from the real model server, field by field."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from anthropic import Anthropic
from openai import APIConnectionError, OpenAI

from harness.child import Child, harness_command
from harness.demo.conversations import CONVERSATIONS
from harness.demo.model_server import ModelServer
from harness.demo.sdks import Answer, Clients, async_clients, play, play_async, sync_clients
from harness.testing.served import Replay

type Answers = dict[str, Answer]


def played(url: str) -> Answers:
    with sync_clients(f"{url}/v1", url) as clients:
        return {call.name: play(call, clients) for call in CONVERSATIONS}


async def played_async(url: str) -> Answers:
    async with async_clients(f"{url}/v1", url) as clients:
        return {call.name: await play_async(call, clients) for call in CONVERSATIONS}


@dataclass(frozen=True)
class Live:
    """What the SDKs got through a recorder, first the sync and then the async ones, and its recording."""

    answers: Mapping[str, Answers]
    recording: Path


@pytest.fixture(scope="module")
def live(model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Live:
    """Now and then, once in some ten runs, the model server closes a connection without an answer."""
    try:
        return recorded(model_server.url, tmp_path_factory.mktemp("parity") / "a.db")
    except APIConnectionError:
        return recorded(model_server.url, tmp_path_factory.mktemp("parity") / "a.db")


def recorded(model_url: str, recording: Path) -> Live:
    """Talk to the model server through a recorder, without any second try of the SDKs."""
    upstream = ("--upstream", model_url, "--port", "0")
    with Child(harness_command("record", "--quiet", *upstream, "--db", str(recording))) as recorder:
        answers = {"sync": played(recorder.url), "async": asyncio.run(played_async(recorder.url))}
    assert recorder.process.returncode == 0
    return Live(answers, recording)


@pytest.fixture(scope="module")
def harness_recording(live: Live) -> Path:
    """What the plugin serves to the tests here."""
    return live.recording


@pytest.mark.harness
def test_replay_gives_the_sdks_what_the_model_server_gave(live: Live, harness_replay: Replay) -> None:
    """One server for both, since the answers to equal requests come in recorded order."""
    again = {
        "sync": played(harness_replay.url),
        "async": asyncio.run(played_async(harness_replay.url)),
    }
    for how, answers in live.answers.items():
        for name, answer in answers.items():
            assert again[how][name] == answer, f"{how}: {name}"
    assert harness_replay.library is not None
    assert list(harness_replay.library.unused()) == []


@pytest.mark.harness
def test_the_sdks_find_the_replay_by_their_variables(live: Live) -> None:
    with OpenAI(max_retries=0) as openai, Anthropic(max_retries=0) as anthropic:
        clients = Clients(openai, anthropic, openai.with_options(base_url=str(anthropic.base_url)))
        for call in CONVERSATIONS:
            assert play(call, clients) == live.answers["sync"][call.name], call.name


def test_the_answers_are_what_the_calls_are_named_for(live: Live) -> None:
    for answers in live.answers.values():
        failed = {name for name, answer in answers.items() if "raised" in answer}
        assert failed == {"chat, an error", "messages, an error"}
        assert answers["chat, asked twice"] != answers["chat, asked twice, the second time"]
        assert answers["chat, tool call, streamed"][-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert answers["chat, streamed with usage"][-1]["usage"]["completion_tokens"] > 1
        assert [len(answers[call.name]) for call in CONVERSATIONS if call.take] == [5, 4]
