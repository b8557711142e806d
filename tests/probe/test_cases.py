"""The built-in recording shows every behaviour, and what a recording shows is known by its exchanges."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, State
from harness.probe.behaviours import DEPARTURES, WHOLE_STREAM, Behaviour, shows
from harness.probe.cases import built_in
from harness.probe.trials import Source, trials_of, write
from harness.store.open import open_recording

B = Behaviour
RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"


def test_every_behaviour_has_a_built_in_exchange_that_shows_it() -> None:
    assert {one for behaviours, _ in built_in() for one in behaviours} == set(Behaviour)
    for behaviours, exchange in built_in():
        if behaviours[0] not in (*DEPARTURES, B.UNKNOWN):  # these are the client's doing, or look like any
            assert set(behaviours) <= set(shows(exchange))


def test_no_two_built_in_requests_are_equal() -> None:
    bodies = [exchange.request.body for _, exchange in built_in()]
    assert len(set(bodies)) == len(bodies)


STATES = {
    State.COMPLETE: WHOLE_STREAM,
    State.UPSTREAM_CUT: (B.CUT,),
    State.UNTERMINATED: (B.CLOSED,),
    State.CLIENT_ABORT: (),
    State.INTERRUPTED: (),
}


@pytest.mark.parametrize(("state", "behaviours"), STATES.items())
def test_what_a_recorded_stream_shows(
    state: State, behaviours: tuple[Behaviour, ...], make_exchange: Callable[..., Exchange]
) -> None:
    assert shows(make_exchange(state=state)) == behaviours


def test_what_is_compressed_or_takes_too_long_is_left_alone(make_exchange: Callable[..., Exchange]) -> None:
    one = make_exchange()
    assert one.response is not None
    zipped = replace(one.response, headers=(*one.response.headers, ("content-encoding", "gzip")))
    assert shows(replace(one, response=zipped)) == ()
    assert shows(replace(one, end_ns=31_000_000_000)) == ()


def test_recorded_streams_come_first_and_the_rest_is_built_in(tmp_path: Path) -> None:
    trials = trials_of(RECORDING, None)
    sources = [trial.source for trial in trials]
    assert sources == sorted(sources, key=lambda one: one is Source.BUILT_IN)
    assert sources.count(Source.RECORDING) == 10
    shown = {one for trial in trials if trial.source is Source.RECORDING for one in trial.behaviours}
    assert B.USAGE in shown
    write(trials, tmp_path / "trials.jsonl")
    with open_recording(tmp_path / "trials.jsonl") as recording:
        assert [one.id for one in recording.exchanges()] == [trial.number for trial in trials]


def test_a_dialect_that_is_not_there() -> None:
    assert len(trials_of(RECORDING, "anthropic.messages")) < len(trials_of(RECORDING, None))
    with pytest.raises(BadInput, match=r"no stream of the dialect ollama.chat in it came to its end"):
        trials_of(RECORDING, "ollama.chat")


def test_of_equal_requests_one_is_tried(
    write: Callable[..., Path], make_exchange: Callable[..., Exchange]
) -> None:
    trials = trials_of(write(make_exchange("a"), make_exchange("b"), make_exchange("c", model="other")), None)
    assert [trial.source for trial in trials].count(Source.RECORDING) == 2
