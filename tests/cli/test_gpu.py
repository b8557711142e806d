"""`harness gpu`."""

import json
import signal
import subprocess
from collections.abc import Callable

import pytest

from harness.child import harness_command
from harness.cli.app import main
from harness.cli.gpu import COLUMNS, split_address
from harness.core.errors import BadInput
from tests.plugins.cards import GPU_A, GPU_B, harness_gpu

type Environment = Callable[..., dict[str, str]]


def test_the_table(cards: Environment) -> None:
    done = harness_gpu(cards(NVML_LOST="1@0.4", NVML_XID="0:79@0.2"), "--duration", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\n")
    head, first, second = done.stdout.splitlines()
    assert head.split() == [word for column in COLUMNS for word in column.title.split()]
    assert first.split()[:4] == ["0", "Test", "Card", "A"]
    assert first.split()[5:7] == ["40", "2"]
    assert first.split()[7:10] == ["19.0", "80", "100"]  # memory, of, power
    assert first.rstrip().endswith("sw_power_cap  Xid 79")
    assert second.rstrip().endswith("lost")


def test_a_card_that_lacks_counters_leaves_them_empty(cards: Environment) -> None:
    lacks = "0:gpm,0:energy,0:power,0:power_instant,0:processes,0:throttle"
    done = harness_gpu(cards(NVML_CARDS="1", NVML_LACKS=lacks), "--duration", "0.2")
    (_, row) = done.stdout.splitlines()
    assert row.split()[-5:] == ["40", "19.0", "80", "1980", "50"]


def test_lines(cards: Environment) -> None:
    done = harness_gpu(cards(), "--json", "--duration", "0.2")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["kind"] for record in records[:3]] == ["worker", "card", "card"]
    assert records[-1]["kind"] == "ended"
    assert {r["gpu"] for r in records if r["kind"] == "sample"} == {GPU_A, GPU_B}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_stopped_and_ends_in_order(cards: Environment, number: signal.Signals) -> None:
    command = harness_command("gpu", "--json")
    with subprocess.Popen(command, env=cards(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while '"sample"' not in process.stdout.readline():
            pass
        process.send_signal(number)
        assert process.stdout.read().splitlines()[-1].startswith('{"kind":"ended"')
    assert process.returncode == 0


def test_a_reader_who_leaves_ends_it_in_silence(cards: Environment) -> None:
    command = harness_command("gpu", "--json", "--rate", "10")
    with subprocess.Popen(command, env=cards(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_another_host(cards: Environment) -> None:
    command = harness_command("gpu", "--serve", "127.0.0.1:0")
    with subprocess.Popen(command, env=cards(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("harness gpu: listening on http://127.0.0.1:")
        done = harness_gpu(cards(), "--from", said.split()[4], "--gpus", "1", "--duration", "0.5")
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""  # no table where it is served and nobody looks
    assert (done.returncode, process.returncode) == (0, 0)
    assert done.stdout.splitlines()[1].split()[:4] == ["1", "Test", "Card", "B"]


def test_an_address_that_is_taken(cards: Environment) -> None:
    command = harness_command("gpu", "--serve", "127.0.0.1:0")
    with subprocess.Popen(command, env=cards(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[4].removeprefix("http://")
        done = harness_gpu(cards(), "--serve", address)
        process.send_signal(signal.SIGTERM)
    assert done.returncode == 2
    assert done.stderr == f"harness: error: cannot serve at {address}: Address already in use\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--duration", "inf"], "'--duration': Input should be less than or equal to 1000000000"),
        (["--rate", "20"], "20 samples a second is out of bounds: from 1 to 10"),
        (["--from", "dcgm"], "there is no GPU source 'dcgm'"),
        (["--from", "http://127.0.0.1:1"], "no GPU metrics at http://127.0.0.1:1/metrics"),
        (["--serve", "9835"], "'9835' is no address to serve at: HOST:PORT"),
    ],
)
def test_what_is_wrong_is_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gpu", *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert len(told.err.splitlines()) == 1


@pytest.mark.parametrize("text", ["", ":9835", "host:", "host:x", "host:70000", "host"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(BadInput):
        split_address(text)


def test_addresses() -> None:
    assert split_address("0.0.0.0:9835") == ("0.0.0.0", 9835)
    assert split_address("[::1]:0") == ("::1", 0)
