"""Faults, keys and limits as the official SDKs and curl meet them, on real recordings over real sockets."""

import json
import urllib.request
from collections.abc import Iterator

import anthropic
import openai
import pytest

from harness.child import Child, harness_command
from harness.core.faults import KINDS
from tests.replay.fault_table import BLOCK, CASES, PAGE, RECORDING, server, table

KEY = "key-for-tests"


@pytest.fixture(scope="module")
def replay() -> Iterator[Child]:
    with server() as started:
        yield started


def test_the_docs_say_what_the_clients_see(replay: Child, require_tool: object) -> None:
    assert {case.fault.partition(";")[0] for case in CASES} == {"none", *KINDS}
    said = BLOCK.search(PAGE.read_text("utf-8"))
    assert said, "the table is gone"
    got = table(replay.url)
    assert said[0].splitlines()[1:-1] == got.splitlines(), "python -m tests.replay.fault_table writes it anew"


def put(url: str, *rules: str) -> None:
    body = json.dumps({"faults": rules}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/__admin/faults", body, method="PUT")
    ) as answer:
        assert len(json.loads(answer.read())["rules"]) == len(rules)


def test_a_retry_gets_the_answer_that_the_error_came_before(replay: Child) -> None:
    put(replay.url, "error; status=503; path=/v1/models; times=1", "reset; path=/v1/models; times=1; first=2")
    with openai.OpenAI(base_url=f"{replay.url}/v1", api_key="any", max_retries=2) as client:
        assert [model.id for model in client.models.list()] == ["tiny-llama"]
    with urllib.request.urlopen(f"{replay.url}/__admin/faults") as answer:
        rules = json.loads(answer.read())["rules"]
    assert [(rule["fitted"], rule["played"]) for rule in rules] == [(3, 1), (3, 1)]
    put(replay.url)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Child]:
    options = ("--api-key", KEY, "--rpm", "2", "--tpm", "100000", "--speed", "0", "--json")
    with Child(harness_command("replay", str(RECORDING), "--port", "0", *options)) as started:
        yield started


def test_the_sdks_know_their_errors_and_limits(gateway: Child) -> None:
    openai_url, chosen = f"{gateway.url}/v1", {"x-harness-exchange": "15"}
    with openai.OpenAI(base_url=openai_url, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as denied:
            stranger.models.list()
        assert denied.value.code == "invalid_api_key"
    with anthropic.Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            stranger.messages.create(model="m", max_tokens=1, messages=[])
        assert refused.value.type == "authentication_error"
    with anthropic.Anthropic(
        base_url=gateway.url, api_key=KEY, max_retries=0, default_headers=chosen
    ) as known:
        answer = known.messages.with_raw_response.create(model="m", max_tokens=1, messages=[])
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "1"
        used = answer.parse().usage
        left = 100_000 - used.input_tokens - used.output_tokens
        assert answer.headers["anthropic-ratelimit-tokens-remaining"] == str(left)
    with openai.OpenAI(base_url=openai_url, api_key=KEY, max_retries=0) as known:
        assert [model.id for model in known.models.list()] == ["tiny-llama"]
        with pytest.raises(openai.RateLimitError) as over:
            known.models.list()
        assert 25 <= int(over.value.response.headers["retry-after"]) <= 30
        assert over.value.code == "rate_limit_exceeded"
    assert gateway.stop() == 0
    said = "".join(gateway.output)
    assert json.loads(said.splitlines()[-1])["refused"] == {"unauthorised": 2, "limited": 1}
    assert KEY not in said
