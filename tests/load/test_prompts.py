import json
import random
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from harness.core.dialects import recognise
from harness.core.errors import BadInput
from harness.core.exchange import Request
from harness.load.apis import FORMS, Server, limit_of
from harness.load.place import place_of
from harness.load.plan import Call
from harness.load.prompts import Length, Maker, Shape, read_prompts, synthesised, traced
from harness.load.tokens import WORDS, Measure
from harness.load.traces import Row, Trace
from harness.load.words import Api, Prefix

PLACE = place_of("http://h:1")
MEASURE = Measure(WORDS, base=5, exact=True)
HELLO = [{"role": "user", "content": "hi"}]
TOLD = [{"role": "system", "content": "Be brief."}, *HELLO]
PARTS = [{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, *HELLO]


def maker(api: Api = Api.COMPLETIONS, server: Server = Server.UNKNOWN, **extra: Any) -> Maker:
    return Maker(PLACE, api, "m", server, tuple(extra.items()))


def body(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.body)
    return found


def words(call: Call) -> list[str]:
    prompt: str = body(call)["prompt"]
    return prompt.split(" ")


def alike(one: list[str], other: list[str]) -> int:
    """How many words two texts start with both."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize(
    ("api", "path", "expected"),
    [
        (Api.CHAT, "/v1/chat/completions", {"messages": HELLO, "max_tokens": 9, **USAGE}),
        (Api.COMPLETIONS, "/v1/completions", {"prompt": "hi", "max_tokens": 9, **USAGE}),
        (
            Api.RESPONSES,
            "/v1/responses",
            {"input": "hi", "max_output_tokens": 9, "stream": True, "store": False},
        ),
        (Api.ANTHROPIC, "/v1/messages", {"messages": HELLO, "max_tokens": 9, "stream": True}),
        (Api.OLLAMA, "/api/chat", {"messages": HELLO, "options": {"num_predict": 9}, "stream": True}),
    ],
)
def test_a_prompt_in_each_api(api: Api, path: str, expected: dict[str, Any]) -> None:
    call = maker(api).of_text("hi", 3, 9)
    assert (call.path, body(call)) == (path, {"model": "m", **expected})
    assert (call.tokens_in, call.most_tokens_out, call.stream) == (3, 9, True)
    request = Request(call.method, f"http://h{call.path}", call.headers, call.body.encode())
    assert recognise(request).name == FORMS[api].dialect
    assert dict(call.headers)["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("server", "api", "fields"),
    [
        (Server.UNKNOWN, Api.CHAT, {"max_tokens"}),
        (Server.OLLAMA, Api.CHAT, {"max_tokens"}),
        (Server.OPENAI, Api.CHAT, {"max_completion_tokens"}),
        (Server.OPENAI, Api.COMPLETIONS, {"max_tokens"}),
        (Server.LLAMA_CPP, Api.CHAT, {"max_tokens", "ignore_eos"}),
        (Server.LLAMA_CPP, Api.ANTHROPIC, {"max_tokens"}),
        (Server.LLAMA_CPP, Api.RESPONSES, {"max_output_tokens", "ignore_eos"}),
        (Server.VLLM, Api.CHAT, {"max_tokens", "ignore_eos", "min_tokens"}),
        (Server.VLLM, Api.RESPONSES, {"max_output_tokens"}),
        (Server.SGLANG, Api.COMPLETIONS, {"max_tokens", "ignore_eos", "min_tokens"}),
    ],
)
def test_fixed_lengths_where_the_server_knows_them(server: Server, api: Api, fields: set[str]) -> None:
    made = body(maker(api, server).of_text("hi", None, 9))
    lengths = {"max_tokens", "max_completion_tokens", "max_output_tokens", "ignore_eos", "min_tokens"}
    assert made.keys() & lengths == fields
    assert made.get("min_tokens", 9) == 9


def test_extra_fields_have_the_last_word_and_a_model_may_be_unknown() -> None:
    call = maker(Api.CHAT, temperature=0, max_tokens=3).of_text("hi", None, 9)
    assert body(call)["temperature"] == 0
    assert call.most_tokens_out == 3
    assert "model" not in body(Maker(PLACE, Api.CHAT, "").of_text("hi", None, None))


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "n": 3}, 15),
        ({"max_completion_tokens": 7, "max_tokens": None}, 7),
        ({"options": {"num_predict": 4}}, 4),
        ({"options": {"num_predict": -1}}, None),
        ({"max_tokens": "5"}, None),
    ],
)
def test_the_limit_of_a_body(value: dict[str, Any], limit: int | None) -> None:
    assert limit_of(value) == limit


@pytest.mark.parametrize("tokens", [5, 6, 700])
def test_made_up_prompts_have_their_length(tokens: int) -> None:
    calls = synthesised(maker(), MEASURE, Shape(Length(tokens), Length(9)), 20, seed=3)
    assert {len(words(call)) - 1 + 5 for call in calls} == {tokens}
    assert {call.tokens_in for call in calls} == {tokens}
    assert calls == synthesised(maker(), MEASURE, Shape(Length(tokens), Length(9)), 20, seed=3)
    assert tokens < 700 or len({call.body for call in calls}) == 20


def test_spread_lengths_have_their_mean_and_spread() -> None:
    shape = Shape(Length(400, 50), Length(100, 10))
    calls = synthesised(maker(), MEASURE, shape, 2000, seed=1)
    lengths = [call.tokens_in or 0 for call in calls]
    assert fmean(lengths) == pytest.approx(400, abs=5)
    assert stdev(lengths) == pytest.approx(50, rel=0.1)
    assert stdev(call.most_tokens_out or 0 for call in calls) == pytest.approx(10, rel=0.1)


def test_lengths_stay_possible() -> None:
    chance = random.Random(1)
    assert min(Length(3, 50).draw(chance) for _ in range(100)) == 1
    calls = synthesised(maker(), MEASURE, Shape(Length(20, 30), Length(1), prefix=12), 200, seed=1)
    assert min(call.tokens_in or 0 for call in calls) == 12


@pytest.mark.parametrize(("cache", "shared"), [(Prefix.HIT, 60), (Prefix.MISS, 5)])
def test_prefixes_hit_or_miss(cache: Prefix, shared: int) -> None:
    shape = Shape(Length(100), Length(1), prefix=60, cache=cache)
    calls = [words(call) for call in synthesised(maker(), MEASURE, shape, 50, seed=2)]
    common = min(alike(one, other) - 1 + 5 for one, other in pairwise(calls))
    assert common == shared
    assert {len(call) - 1 + 5 for call in calls} == {100}


def test_prompts_that_cannot_be() -> None:
    with pytest.raises(BadInput, match="--input-tokens 4: on this server a prompt of one word already has 5"):
        synthesised(maker(), MEASURE, Shape(Length(4), Length(1)), 1, 0)
    with pytest.raises(BadInput, match="--prefix-tokens 9 is more than --input-tokens 8"):
        synthesised(maker(), MEASURE, Shape(Length(8), Length(1), prefix=9), 1, 0)


def test_traced_prompts_share_what_their_trace_shares() -> None:
    rows = (
        Row(0, 1100, 7, (1, 2, 3)),
        Row(1, 1300, 8, (1, 2, 4)),
        Row(2, 1030, 9, (1, 5, 6)),
        Row(3, 600, 0, (9, 10)),
        Row(4, 1100, 7, (1, 2, 3)),
        Row(5, 2, 1, ()),
    )
    calls = traced(maker(), MEASURE, Trace("Mooncake", rows, 512), seed=4)
    texts = [words(call) for call in calls]
    assert [len(text) - 1 + 5 for text in texts] == [1100, 1300, 1030, 600, 1100, 5]
    assert [call.tokens_in for call in calls] == [1100, 1300, 1030, 600, 1100, 5]
    assert [call.most_tokens_out for call in calls] == [7, 8, 9, 1, 7, 1]

    def common(one: int, other: int) -> int:
        return alike(texts[one], texts[other]) - 1 + 5

    assert common(0, 1) in range(1024, 1030)
    assert common(0, 2) in range(512, 518)
    assert common(0, 3) < 12
    assert texts[0] == texts[4]


def test_traces_without_blocks_share_nothing() -> None:
    rows = tuple(Row(0, 50, 1) for _ in range(9))
    texts = [words(call) for call in traced(maker(), MEASURE, Trace("Azure", rows), seed=4)]
    assert len({tuple(text[:8]) for text in texts}) == 9


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_prompt_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "p.txt", "\ufeffOne?\r", "", "  Two\u2028lines ")
    calls = read_prompts(path, maker(), 12)
    assert [body(call)["prompt"] for call in calls] == ["One?", "Two\u2028lines"]
    assert [call.most_tokens_out for call in calls] == [12, 12]
    assert calls[0].tokens_in is None


@pytest.mark.parametrize(
    ("api", "line", "expected"),
    [
        (Api.COMPLETIONS, {"prompt": "a"}, {"prompt": "a"}),
        (Api.CHAT, {"prompt": "hi"}, {"messages": HELLO}),
        (Api.CHAT, {"messages": TOLD}, {"messages": TOLD}),
        (Api.RESPONSES, {"messages": TOLD}, {"input": TOLD}),
        (Api.ANTHROPIC, {"messages": TOLD}, {"messages": HELLO, "system": "Be brief."}),
        (Api.ANTHROPIC, {"messages": PARTS}, {"messages": HELLO, "system": "Be brief."}),
        (Api.OLLAMA, {"messages": HELLO, "id": 7}, {"messages": HELLO}),
    ],
)
def test_prompts_and_messages_of_json_lines(
    tmp_path: Path, api: Api, line: dict[str, Any], expected: dict[str, Any]
) -> None:
    (call,) = read_prompts(written(tmp_path, "p.jsonl", json.dumps(line)), maker(api), None)
    assert expected.items() <= body(call).items()
    assert call.most_tokens_out is None


def test_whole_bodies_are_sent_as_they_are(tmp_path: Path) -> None:
    whole = {"prompt": "a", "model": "other", "max_tokens": 3}
    (call,) = read_prompts(written(tmp_path, "p.jsonl", json.dumps({"body": whole})), maker(), 12)
    assert body(call) == whole
    assert (call.stream, call.most_tokens_out) == (False, 3)


def test_half_a_character_is_no_end(tmp_path: Path) -> None:
    (call,) = read_prompts(written(tmp_path, "p.jsonl", r'{"prompt": "\ud83d"}'), maker(), 12)
    assert body(call)["prompt"] == "\ufffd"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("SECRET", "is no JSON"),
        ('["SECRET"]', "is no JSON object"),
        ('{"text": "SECRET"}', "has none of 'prompt', 'messages' and 'body'"),
        ('{"prompt": "SECRET", "body": {}}', "has 'prompt' and 'body': give one of them"),
        ('{"prompt": 5}', "'prompt' is no text"),
        ('{"prompt": ""}', "'prompt' is no text"),
        ('{"messages": "SECRET"}', "'messages' is no list of messages"),
        ('{"messages": []}', "'messages' is no list of messages"),
        ('{"messages": [{}]}', "has 'messages', which --api completions does not know: give 'prompt'"),
        ('{"body": "SECRET"}', "'body' is no JSON object"),
    ],
)
def test_a_broken_line_is_named_and_not_repeated(tmp_path: Path, line: str, says: str) -> None:
    path = written(tmp_path, "p.jsonl", '{"prompt": "a"}', "", line)
    with pytest.raises(BadInput) as caught:
        read_prompts(path, maker(), None)
    assert str(caught.value) == f"{path}, line 3: {says}"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    binary = tmp_path / "b.txt"
    binary.write_bytes(b"\xff")
    for path, says in (
        (written(tmp_path, "e.txt", "", " "), "holds no prompt"),
        (tmp_path / "none.txt", "does not exist"),
        (tmp_path, "cannot be read"),
        (binary, "no UTF-8"),
    ):
        with pytest.raises(BadInput, match=says):
            read_prompts(path, maker(), None)
