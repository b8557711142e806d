from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind, Part
from harness.validate.rules import responses

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

STREAM, BODY = "responses", "responses body"
OPENING, REASONING, MESSAGE, CALL, END = 1, 3, 10, 17, 22
"""Numbers of the events that begin the opening, the three items and the end."""


def pop(stream: list[Any], *numbers: int) -> list[Any]:
    """Take events out by their numbers, and number the others anew."""
    taken = [stream[number - 1] for number in numbers]
    stream[:] = [event for number, event in enumerate(stream, 1) if number not in numbers]
    renumber(stream)
    return taken


def put(stream: list[Any], number: int, *events: Any) -> None:
    """Put events before the one of this number, and number all anew."""
    stream[number - 1 : number - 1] = [dict(event) for event in events]
    renumber(stream)


def swap(stream: list[Any], one: int, other: int) -> None:
    stream[one - 1], stream[other - 1] = stream[other - 1], stream[one - 1]
    renumber(stream)


def renumber(stream: list[Any]) -> None:
    for number, event in enumerate(stream):
        event["sequence_number"] = number


def unnumbered(stream: list[Any]) -> None:
    for event in stream:
        event.pop("sequence_number", None)


def response(stream: list[Any], number: int) -> Any:
    return stream[number - 1]["response"]


CASES: list[tuple[str, str, Mutate, tuple[int | None, str]]] = [
    ("event-name", STREAM, lambda s: s.__setitem__(3, ("message", s[3])), (4, "/type")),
    ("event-name", STREAM, lambda s: s.__setitem__(3, ("", s[3])), (4, "/type")),
    ("numbered", STREAM, unnumbered, (1, "/sequence_number")),
    ("sequence-number", STREAM, lambda s: s[4].pop("sequence_number"), (5, "/sequence_number")),
    ("sequence-number", STREAM, lambda s: s[4].update(sequence_number=7), (5, "/sequence_number")),
    ("sequence-number", STREAM, lambda s: s[0].update(sequence_number="0"), (1, "/sequence_number")),
    ("opening", STREAM, lambda s: pop(s, 1), (1, "/type")),
    ("opening", STREAM, lambda s: pop(s, 2), (2, "/type")),
    ("opening", STREAM, lambda s: put(s, 3, s[0]), (3, "/type")),
    ("terminal", STREAM, lambda s: pop(s, END), (None, "")),
    ("terminal", STREAM, lambda s: put(s, END, s[-1]), (23, "")),
    ("terminal", STREAM, lambda s: put(s, 23, {"type": "response.custom.event"}), (23, "")),
    ("status", STREAM, lambda s: response(s, END).update(status="in_progress"), (END, "/response/status")),
    ("no-done", STREAM, lambda s: s.append("[DONE]"), (23, "")),
    ("constant-id", STREAM, lambda s: response(s, END).update(id="resp_2"), (END, "/response/id")),
    ("output-index", STREAM, lambda s: [e.update(output_index=5) for e in s[16:21]], (CALL, "/output_index")),
    ("items", STREAM, lambda s: put(s, 11, s[9]), (11, "/item")),
    ("items", STREAM, lambda s: pop(s, 21), (CALL, "/item")),
    ("items", STREAM, lambda s: put(s, END, s[20]), (END, "/item")),
    ("parts", STREAM, lambda s: put(s, 12, s[10]), (12, "/part")),
    ("parts", STREAM, lambda s: pop(s, 15), (11, "/part")),
    ("parts", STREAM, lambda s: put(s, 16, s[14]), (16, "/part")),
    ("inside", STREAM, lambda s: s[11].update(item_id="msg_2"), (12, "/item_id")),
    ("inside", STREAM, lambda s: swap(s, 20, 21), (21, "/item_id")),
    ("inside", STREAM, lambda s: swap(s, 14, 15), (15, "/content_index")),
    ("inside", STREAM, lambda s: put(s, 15, s[13]), (15, "")),
    ("deltas", STREAM, lambda s: pop(s, 12), (13, "/text")),
    ("deltas", STREAM, lambda s: put(s, 12, s[11]), (15, "/text")),
    ("deltas", STREAM, lambda s: swap(s, 12, 13), (14, "/text")),
    ("deltas", STREAM, lambda s: s[4].update(delta="Wh"), (7, "/text")),
    ("deltas", STREAM, lambda s: s[14]["part"].update(text="Hello!"), (15, "/part/text")),
    ("deltas", STREAM, lambda s: s[6].update(text="Why"), (7, "/text")),
    ("deltas", STREAM, lambda s: s[19].update(arguments="{}"), (20, "/arguments")),
    ("deltas-closed", STREAM, lambda s: pop(s, 20), (19, "/delta")),
    ("output", STREAM, lambda s: response(s, END)["output"].pop(), (END, "/response/output")),
    (
        "output",
        STREAM,
        lambda s: response(s, END)["output"][1].update(role="user"),
        (END, "/response/output/1"),
    ),
    (
        "output",
        STREAM,
        lambda s: response(s, END)["output"].__setitem__(0, None),
        (END, "/response/output/0"),
    ),
    (
        "usage-end",
        STREAM,
        lambda s: response(s, 2).update(usage=response(s, END)["usage"]),
        (2, "/response/usage"),
    ),
    (
        "usage-sum",
        STREAM,
        lambda s: response(s, END)["usage"].update(total_tokens=1),
        (END, "/response/usage/total_tokens"),
    ),
    ("usage-sum", BODY, lambda s: s[0]["usage"].update(total_tokens=1), (None, "/usage/total_tokens")),
    ("usage-negative", BODY, lambda s: s[0]["usage"].update(input_tokens=-1), (None, "/usage/input_tokens")),
    (
        "usage-cached",
        BODY,
        lambda s: s[0]["usage"]["input_tokens_details"].update(cached_tokens=99),
        (None, "/usage/input_tokens_details/cached_tokens"),
    ),
    (
        "usage-reasoning",
        BODY,
        lambda s: s[0]["usage"]["output_tokens_details"].update(reasoning_tokens=99),
        (None, "/usage/output_tokens_details/reasoning_tokens"),
    ),
    (
        "call-arguments",
        BODY,
        lambda s: s[0]["output"][2].update(arguments='{"a"'),
        (None, "/output/2/arguments"),
    ),
    ("item-ids", BODY, lambda s: s[0]["output"][1].update(id="rs_1"), (None, "/output/1/id")),
    (
        "item-ids",
        BODY,
        lambda s: s[0]["output"].append(s[0]["output"][2] | {"id": "fc_2"}),
        (None, "/output/3/call_id"),
    ),
]


@pytest.mark.parametrize("name", [STREAM, BODY])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize(("rule", "name", "mutate", "where"), CASES)
def test_broken(find: Find, rule: str, name: str, mutate: Mutate, where: tuple[int | None, str]) -> None:
    found = find(name, mutate)
    assert {finding.rule for finding in found} == {f"responses.{rule}"}
    assert (found[0].event, found[0].pointer) == where
    assert found[0].part is (Part.RESPONSE if name == BODY else Part.STREAM)


def test_every_rule_is_broken() -> None:
    assert {f"responses.{case[0]}" for case in CASES} == {rule.name for rule in responses.RULES}


def test_soft_rules() -> None:
    soft = {rule.name.removeprefix("responses.") for rule in responses.RULES if rule.kind is Kind.SOFT_RULE}
    usage = {"usage-cached", "usage-reasoning"}
    assert soft == usage | {"event-name", "numbered", "no-done", "deltas-closed"}


@pytest.mark.parametrize(
    ("mutate", "rules"),
    [
        (lambda s: s.pop(11), {"deltas", "sequence-number"}),
        (lambda s: s.insert(11, s[11]), {"deltas", "sequence-number"}),
        (lambda s: s.insert(0, s.pop(1)), {"opening", "sequence-number"}),
        (lambda s: pop(s, MESSAGE), {"inside", "items", "output-index"}),
        (lambda s: pop(s, MESSAGE + 1), {"inside", "parts"}),
        (lambda s: pop(s, *range(MESSAGE, CALL)), {"output", "output-index"}),
    ],
)
def test_what_breaks_several(find: Find, mutate: Mutate, rules: set[str]) -> None:
    assert {finding.rule.removeprefix("responses.") for finding in find(STREAM, mutate)} == rules


@pytest.mark.parametrize("state", [State.UPSTREAM_CUT, State.CLIENT_ABORT, State.INTERRUPTED])
def test_a_cut_is_nobodys_fault(find: Find, state: State) -> None:
    for kept in range(END):
        assert find(STREAM, lambda s, kept=kept: s.__delitem__(slice(kept, None)), state=state) == []


def test_an_unterminated_stream_is_blamed(find: Find) -> None:
    found = find(STREAM, lambda s: s.pop(), state=State.UNTERMINATED)
    assert [finding.rule for finding in found] == ["responses.terminal"]


ERROR = {"type": "error", "code": "server_error", "message": "m"}
FAILED = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed", "error": {"code": "x"}}}


@pytest.mark.parametrize("ends", [[ERROR], [FAILED], [ERROR, FAILED]])
@pytest.mark.parametrize("kept", [0, 1, 2, 4, 13, 21])
def test_an_error_is_an_end(find: Find, kept: int, ends: list[Any]) -> None:
    def failed(stream: list[Any]) -> None:
        stream[kept:] = [dict(event) for event in ends]
        renumber(stream)

    assert find(STREAM, failed) == []


def test_an_incomplete_response(find: Find) -> None:
    """What was cut by length may be not done, and not be in the output."""

    def incomplete(stream: list[Any]) -> None:
        pop(stream, 19, 20, 21)
        end = stream[-1]
        end["type"] = "response.incomplete"
        end["response"]["status"] = "incomplete"
        end["response"]["output"].pop()

    assert find(STREAM, incomplete) == []


def test_a_text_whose_secret_is_masked(find: Find) -> None:
    """The pieces of a secret are masked otherwise than the whole."""
    masked = "[redacted]"

    def mask(stream: list[Any]) -> None:
        stream[13]["text"] = stream[14]["part"]["text"] = masked
        for item in (stream[15]["item"], stream[-1]["response"]["output"][1]):
            item["content"][0]["text"] = masked

    assert find(STREAM, mask) == []


def test_without_output_index(find: Find) -> None:
    """Items are known by their id then (llama.cpp), and the missing number is told once."""

    def without(stream: list[Any]) -> None:
        for event in stream:
            event.pop("output_index", None)

    found = find(STREAM, without)
    assert {finding.rule for finding in found} == {"responses.output-index"}
    assert [finding.event for finding in found] == [REASONING, MESSAGE, CALL]


def test_a_stream_taken_up_in_its_middle(find: Find) -> None:
    def rest(stream: list[Any]) -> None:
        del stream[:13]

    assert find(STREAM, rest, query="/resp_1?stream=true&starting_after=12") == []
    assert {finding.rule for finding in find(STREAM, rest, query="/resp_1?stream=true")} >= {
        "responses.opening"
    }


KINDS = [
    ("refusal", "refusal", "content_index", "content", "refusal"),
    ("reasoning_text", "text", "content_index", "content", "reasoning_text"),
    ("mcp_call_arguments", "arguments", "", "", "mcp_call"),
    ("custom_tool_call_input", "input", "", "", "custom_tool_call"),
    ("code_interpreter_call_code", "code", "", "", "code_interpreter_call"),
]


@pytest.mark.parametrize("row", KINDS, ids=[row[0] for row in KINDS])
def test_all_deltas_add_up(find: Find, row: tuple[str, str, str, str, str]) -> None:
    """The call is replaced by an item of another kind, then one of its deltas is lost."""
    kind, member, counted, holder, of = row
    place = {"item_id": "it_1", "output_index": 2} | ({counted: 0} if counted else {})
    whole = {"type": of, member: "ab"}
    item = {"id": "it_1", "type": "message", holder: [whole]} if holder else whole | {"id": "it_1"}
    part = [{"type": "response.content_part.added", **place}] if holder else []
    part_done = [{"type": "response.content_part.done", **place, "part": whole}] if holder else []

    def other(stream: list[Any], *texts: str) -> None:
        deltas = [{"type": f"response.{kind}.delta", **place, "delta": text} for text in texts]
        done = {"type": f"response.{kind}.done", **place, member: "ab"}
        added = {"type": "response.output_item.added", "output_index": 2, "item": {"id": "it_1"}}
        ended = {"type": "response.output_item.done", "output_index": 2, "item": item}
        stream[CALL - 1 : END - 1] = [added, *part, *deltas, done, *part_done, ended]
        stream[-1]["response"]["output"][2] = item
        renumber(stream)

    assert find(STREAM, lambda s: other(s, "a", "b")) == []
    found = find(STREAM, lambda s: other(s, "a"))
    assert [(finding.rule, finding.pointer) for finding in found] == [("responses.deltas", f"/{member}")]
