import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import BadInput
from harness.load.traces import Limit, Row, Trace, read_trace, trace_of

S = 1_000_000_000
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"
BURST_3 = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type"
MOONCAKE = '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}'


def file(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "a.trace"
    path.write_text("".join(line + end for line in lines), encoding="utf-8", newline="")
    return path


def test_mooncake(tmp_path: Path) -> None:
    later = '{"timestamp": 27482, "input_length": 2, "output_length": 1, "hash_ids": [], "extra": "x"}'
    trace = read_trace(file(tmp_path, MOONCAKE, "", later))
    assert (trace.name, trace.block) == ("Mooncake", 512)
    assert trace.rows == (Row(0, 6758, 500, (0, 1)), Row(27_482_000_000, 2, 1))


def test_bailian_counts_in_seconds_and_has_small_blocks(tmp_path: Path) -> None:
    line = {"chat_id": 1, "parent_chat_id": -1, "timestamp": 0.25, "input_length": 30, "output_length": 4}
    trace = read_trace(file(tmp_path, json.dumps(line | {"type": "text", "turn": 1, "hash_ids": [7, 8]})))
    assert trace == Trace("Qwen-Bailian", (Row(S // 4, 30, 4, (7, 8)),), 16)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_azure_of_both_years(tmp_path: Path, end: str) -> None:
    old = read_trace(
        file(
            tmp_path, AZURE, "2023-11-16 18:15:46.6805900,374,44", "2023-11-16 18:15:50.9951690,0,7", end=end
        )
    )
    assert old.name == "Azure"
    assert old.rows[1].at_ns - old.rows[0].at_ns == 4_314_579_000
    assert [(row.tokens_in, row.tokens_out) for row in old.rows] == [(374, 44), (0, 7)]
    new = read_trace(file(tmp_path, AZURE, "2024-05-10 00:00:00.009930+00:00,2162,5", end=end))
    assert new.rows[0].at_ns % S == 9_930_000


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (BURST, "5,ChatGPT,472,18,490,Conversation log"),
        (BURST, '5.0,"GPT-4",472,18,490,"API log"'),
        (BURST_3, "5,abc,2.5,ChatGPT,472,18,490,Conversation log"),
    ],
)
def test_burstgpt(tmp_path: Path, header: str, line: str) -> None:
    trace = read_trace(file(tmp_path, "\ufeff" + header, line))
    assert trace == Trace("BurstGPT", (Row(5 * S, 472, 18),))


def test_rows_come_in_the_order_of_their_times(tmp_path: Path) -> None:
    trace = read_trace(file(tmp_path, BURST, "9,a,1,1,2,x", "5,a,2,1,3,x", "7,a,3,1,4,x"))
    assert [row.tokens_in for row in trace.rows] == [2, 3, 1]


@pytest.mark.parametrize(
    ("limit", "rows"), [(Limit(2), 2), (Limit(99), 4), (Limit(span_ns=3 * S), 3), (Limit(), 4)]
)
def test_only_a_part_is_read(tmp_path: Path, limit: Limit, rows: int) -> None:
    lines = [BURST, "5,a,1,1,2,x", "7,a,2,1,3,x", "9,a,3,1,4,x", "10,a,3,1,4,x"]
    path = file(tmp_path, *lines)
    assert len(read_trace(path, limit).rows) == rows
    assert len(read_trace(file(tmp_path, *lines, "never reached"), Limit(4)).rows) == 4


SECRET = "TOP-SECRET"
BROKEN = [
    ([MOONCAKE, "", '{"timestamp": 1, "input_length": 5}'], "line 3: 'output_length' is missing"),
    ([MOONCAKE, f"{{{SECRET}"], "line 2: is no JSON"),
    ([MOONCAKE, f'["{SECRET}"]'], "line 2: is no JSON object"),
    ([MOONCAKE.replace("6758", f'"{SECRET}"')], "line 1: 'input_length' is no number"),
    ([MOONCAKE.replace("6758", "-1")], "line 1: 'input_length' is no number of tokens"),
    ([MOONCAKE.replace("6758", "1.5")], "line 1: 'input_length' is no number of tokens"),
    ([MOONCAKE.replace("6758", "true")], "line 1: 'input_length' is no number"),
    ([MOONCAKE.replace('"timestamp": 0', '"timestamp": NaN')], "line 1: 'timestamp' is no number"),
    ([MOONCAKE.replace('"timestamp": 0', '"timestamp": -3')], "line 1: 'timestamp' is no time"),
    ([MOONCAKE.replace('"timestamp": 0', '"timestamp": 1e300')], "line 1: 'timestamp' is no time"),
    ([MOONCAKE.replace("[0, 1]", '["a"]')], "line 1: 'hash_ids' is no list of integers"),
    (
        [MOONCAKE.replace('"timestamp"', '"time"')],
        "line 1: 'timestamp' is missing, which Mooncake traces have",
    ),
    ([AZURE, f"{SECRET},1,2"], "line 2: 'TIMESTAMP' is no date and time"),
    ([AZURE, "2023-13-16 18:15:46,1,2"], "line 2: 'TIMESTAMP' is no date and time"),
    (
        [AZURE, "2023-11-16 18:15:46,1,2", "2023-11-16 18:15:46,1"],
        "line 3: has 2 fields where the header has 3",
    ),
    ([AZURE, f"2023-11-16 18:15:46,1,{SECRET}"], "line 2: 'GeneratedTokens' is no number"),
    ([BURST, f'5,"{SECRET},1,2,3,x'], "line 2: is no CSV"),
    ([BURST, "5,a,1,,2,x"], "line 2: 'Response tokens' is no number"),
]


@pytest.mark.parametrize(("lines", "says"), BROKEN)
def test_a_broken_line_is_named_and_not_repeated(tmp_path: Path, lines: list[str], says: str) -> None:
    path = file(tmp_path, *lines)
    with pytest.raises(BadInput) as caught:
        read_trace(path)
    assert str(caught.value) == f"{path}, {says}"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "holds no requests: it is empty"),
        (["", " "], "holds no requests: it is empty"),
        ([AZURE], "holds no requests: it has a header alone"),
        (["a,b,c", "1,2,3"], "is no trace that is known: Mooncake"),
        (["hello"], "is no trace that is known: Mooncake"),
        (['{"a": 1}'], "is no trace that is known: Mooncake"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read_trace(file(tmp_path, *lines))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "b"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, says in (
        (tmp_path / "none", "does not exist"),
        (tmp_path, "cannot be read"),
        (binary, "no UTF-8"),
    ):
        with pytest.raises(BadInput, match=says):
            read_trace(path)


@given(st.lists(st.text(max_size=60), max_size=4), st.sampled_from(["", AZURE, BURST, MOONCAKE]))
def test_no_text_breaks_the_reader(lines: list[str], head: str) -> None:
    said = ""
    try:
        assert trace_of(Path("t"), [head, *lines], Limit()).rows
    except BadInput as error:
        said = str(error)
    assert not said or (said.startswith("t") and "\n" not in said)
