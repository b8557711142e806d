import pytest

from harness.core.errors import BadInput
from harness.load.care import UNLIMITED, Bill, Price, bill, is_private, price_of, question, unasked
from harness.load.plan import Call, Closed, Open, Plan

CALLS = [
    Call(path="/a", body="x" * 500, tokens_in=100, most_tokens_out=10),
    Call(path="/a", body="x" * 500, tokens_in=200, most_tokens_out=20),
]
PRICE = Price(1, 10, given=True)


def plan(**changes: object) -> Plan:
    return Plan.model_validate({"target": "http://h", "loop": Closed(concurrency=2, ramp_s=0)} | changes)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "10.0.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.1.1",
        "fd00::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "::",
        "::ffff:10.0.0.1",
        "localhost",
    ],
)
def test_this_machine_and_private_networks(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "172.32.0.1",
        "192.169.0.1",
        "100.64.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "nowhere.invalid",
        "192.0.2.1",
    ],
)
def test_all_else_is_not(host: str) -> None:
    assert not is_private(host)


@pytest.mark.parametrize(
    ("addresses", "private"),
    [(["10.0.0.1"], True), (["10.0.0.1", "::1"], True), (["10.0.0.1", "8.8.8.8"], False), ([], False)],
)
def test_a_name_is_private_if_all_its_addresses_are(addresses: list[str], private: bool) -> None:
    assert is_private("api.test", lambda _: addresses) is private


@pytest.mark.parametrize(
    ("changes", "arrivals", "requests", "tokens_in", "tokens_out"),
    [
        ({"request_count": 4}, 0, 5, 700, 70),
        ({"request_count": 4, "warmup_requests": 1}, 0, 6, 800, 80),
        ({"request_count": 4, "max_requests": 2}, 0, 3, 400, 40),
        ({"duration_s": 9, "max_requests": 3}, 0, 4, 500, 50),
        ({"loop": Open(most_open=None)}, 3, 4, 500, 50),
        ({"loop": Open(most_open=None), "max_requests": 1}, 3, 2, 200, 20),
    ],
)
def test_figures(
    changes: dict[str, object], arrivals: int, requests: int, tokens_in: int, tokens_out: int
) -> None:
    found = bill([(plan(**changes), CALLS, arrivals)], PRICE)
    cost = (tokens_in + 10 * tokens_out) / 1e6
    assert found == Bill(requests, tokens_in, tokens_out, found.cost_usd, PRICE)
    assert found.cost_usd == pytest.approx(cost)


@pytest.mark.parametrize(
    ("loop", "tokens_out"),
    [
        (Closed(concurrency=2, ramp_s=0), 100 + 4 * 20 + 10),
        (Open(most_open=1), 100 + 2 * 20 + 10),
        (Open(most_open=None), 610),
    ],
)
def test_a_limit_of_tokens_counts_with_what_is_not_counted_yet(loop: Closed | Open, tokens_out: int) -> None:
    run = (plan(loop=loop, request_count=40, max_tokens=100), CALLS, 40)
    assert bill([run], PRICE).tokens_out == tokens_out


def test_a_sweep_costs_what_its_steps_cost() -> None:
    runs = [(plan(request_count=count), CALLS, 0) for count in (2, 4)]
    assert bill(runs, PRICE).requests == 7
    assert bill(runs, PRICE).tokens_in == 300 + 600 + 100


@pytest.mark.parametrize("changes", [{"duration_s": 9}, {"request_count": 9, "warmup_s": 5}])
def test_time_alone_bounds_no_cost(changes: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="give --max-requests or --request-count"):
        bill([(plan(**changes), CALLS, 0)])


def test_what_is_unknown_is_bounded_by_bytes_and_told() -> None:
    call = Call(path="/a", body="é" * 100)
    found = bill([(plan(request_count=2), [call], 0)], PRICE)
    assert (found.tokens_in, found.tokens_out, found.unlimited) == (600, 3 * UNLIMITED, 3)
    assert "3 requests set no limit of output tokens" in question("https://h", found)


def test_estimated_lengths_get_a_margin_up_to_their_bytes() -> None:
    calls = [CALLS[0], Call(path="/a", body="x" * 110, tokens_in=100, most_tokens_out=1)]
    assert bill([(plan(request_count=2), calls, 0)], estimated=True).tokens_in == 150 + 110 + 150


def test_the_question_shows_requests_tokens_and_cost() -> None:
    text = question("https://api.test", Bill(1200, 1_500_000, 120_000, 31.5))
    assert "1200 requests with 1,500,000 input tokens" in text
    assert "for 120,000 output tokens" in text
    assert "at most 31.50 USD (at an assumed 15:75 USD per million tokens; give yours with --price" in text
    assert "an assumed" not in question("https://api.test", Bill(1, 1, 1, 1, PRICE))
    assert "--yes" in str(unasked(Bill(1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("text", "price"),
    [("2.5:10", Price(2.5, 10, given=True)), ("0:0", Price(0, 0, given=True)), (None, Price())],
)
def test_prices(text: str | None, price: Price) -> None:
    assert price_of(text) == price


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:b", "-1:2", "nan:1", "inf:1"])
def test_what_is_no_price(text: str) -> None:
    with pytest.raises(BadInput, match="is no price: give IN:OUT"):
        price_of(text)
