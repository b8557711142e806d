"""Care: what a run may cost, which a target that is not the user's own has to be asked for.

The law of this file: pure but for the resolving of names. The figures are upper bounds: where a request
does not say how many tokens it has, its bytes count, since no token is shorter than one.
"""

import math
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from harness.core.errors import BadInput
from harness.core.visible import counted
from harness.load.plan import Call, Closed, Plan

PRIVATE = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/32",
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "::/127",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
"""This host (what servers that listen everywhere print as their address), loopback, RFC 1918, link-local

(RFC 3927); the same in IPv6: this host and loopback, RFC 4193, link-local (RFC 4291)."""

UNLIMITED = 16_384
"""Output tokens that are assumed of a request which sets no limit."""
ESTIMATE = 1.5
"""What estimated lengths are multiplied with: a tokenizer makes one to one and a half tokens of a word."""
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """USD for a million tokens. `given`: the user said so."""

    tokens_in: float = 15.0
    tokens_out: float = 75.0
    given: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """Upper bounds of what a run sends and gets. `unlimited`: requests that set no limit of output tokens."""

    requests: int
    tokens_in: int
    tokens_out: int
    cost_usd: float
    price: Price = Price()
    unlimited: int = 0


def addresses(host: str) -> list[str]:
    """The addresses of a host; none where it cannot be resolved."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(row[4][0]) for row in found]


def is_private(host: str, resolve: Callable[[str], Iterable[str]] = addresses) -> bool:
    """Whether a host is this machine or in a private network, and all of its addresses are.

    >>> is_private("192.168.1.7"), is_private("8.8.8.8")
    (True, False)
    """
    try:
        known = [ip_address(host.partition("%")[0])]
    except ValueError:
        known = [ip_address(one.partition("%")[0]) for one in resolve(host)]
    return bool(known) and all(map(in_private_network, known))


def in_private_network(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is; one of IPv4 in the form of IPv6 (::ffff:a.b.c.d) counts as what it is."""
    plain = (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
    return any(plain in network for network in PRIVATE)


def price_of(text: str | None) -> Price:
    """The price of `IN:OUT`, USD for a million tokens; the default without one. BadInput."""
    if text is None:
        return Price()
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not all(math.isfinite(one) and one >= 0 for one in numbers):
        raise BadInput(f"--price {text!r} is no price: give IN:OUT in USD for a million tokens, as 2.5:10")
    return Price(numbers[0], numbers[1], given=True)


def bill(
    runs: Sequence[tuple[Plan, Sequence[Call], int]], price: Price | None = None, *, estimated: bool = False
) -> Bill:
    """What runs cost at most: of each its plan, its calls, and the number of its arrivals.

    The request that tries the target out counts as well. `estimated`: the calls' own lengths are
    estimates. BadInput where nothing bounds the number of requests.
    """
    price = price or Price()
    parts = [part_of(*run, estimated=estimated) for run in runs]
    first = runs[0][1][0]
    parts.append((1, tokens_of(first, estimated=estimated), output_of(first), first.most_tokens_out is None))
    requests, tokens_in, tokens_out, unlimited = (sum(column) for column in zip(*parts, strict=True))
    cost = (tokens_in * price.tokens_in + tokens_out * price.tokens_out) / MILLION
    return Bill(requests, tokens_in, tokens_out, cost, price, unlimited)


def part_of(
    plan: Plan, calls: Sequence[Call], arrivals: int, *, estimated: bool
) -> tuple[int, int, int, int]:
    """Requests, input and output tokens of a run, and how many requests set no limit."""
    requests = most_requests(plan, arrivals)
    rounds, rest = divmod(requests, len(calls))
    times = [rounds + (number < rest) for number in range(len(calls))]
    pairs = list(zip(times, calls, strict=True))
    tokens_in = sum(n * tokens_of(call, estimated=estimated) for n, call in pairs)
    tokens_out = sum(n * output_of(call) for n, call in pairs)
    most = most_output(plan, calls)
    tokens_out = tokens_out if most is None else min(tokens_out, most)
    unlimited = sum(n for n, call in pairs if call.most_tokens_out is None)
    return requests, tokens_in, tokens_out, unlimited


def most_requests(plan: Plan, arrivals: int) -> int:
    """How many requests a run sends at most. BadInput where only time limits it."""
    counts = [plan.max_requests] if plan.max_requests is not None else []
    if not isinstance(plan.loop, Closed):
        counts.append(arrivals)
    elif plan.request_count is not None and not plan.warmup_s:
        counts.append(plan.request_count + plan.warmup_requests)
    if not counts:
        raise BadInput(
            "nothing but time limits the number of requests, so that the cost has no upper bound: "
            "give --max-requests or --request-count"
        )
    return min(counts)


def most_output(plan: Plan, calls: Sequence[Call]) -> int | None:
    """Output tokens that `max_tokens` allows: those, and what was sent before they were known to be reached.

    In a closed loop each user may have an answer under way and one that is not counted yet; in an open one,
    each worker has taken the next call while it waits for room.
    """
    if plan.max_tokens is None:
        return None
    if isinstance(plan.loop, Closed):
        beyond = 2 * plan.loop.concurrency
    elif plan.loop.most_open is not None:
        beyond = plan.loop.most_open + plan.workers
    else:
        return None
    return plan.max_tokens + beyond * max(map(output_of, calls))


def tokens_of(call: Call, *, estimated: bool) -> int:
    """The input tokens of a call at most."""
    size = len(call.body.encode())
    if call.tokens_in is None:
        return size
    return min(math.ceil(call.tokens_in * ESTIMATE), size) if estimated else call.tokens_in


def most_tokens_of(call: Call) -> int:
    """The tokens that a call uses up at most, input and output, whoever counts them."""
    return tokens_of(call, estimated=True) + output_of(call)


def output_of(call: Call) -> int:
    """The output tokens of a call at most."""
    return UNLIMITED if call.most_tokens_out is None else call.most_tokens_out


def question(target: str, found: Bill) -> str:
    """What a user is asked before such a run, in a few lines."""
    price = f"{found.price.tokens_in:g}:{found.price.tokens_out:g} USD per million tokens"
    whose = f"at {price}" if found.price.given else f"at an assumed {price}; give yours with --price IN:OUT"
    lines = [
        f"{target} is neither on this machine nor in a private network. This run sends at most",
        f"  {counted(found.requests, 'request')} with {found.tokens_in:,} input tokens,",
        f"  for {found.tokens_out:,} output tokens,",
        f"  which cost at most {found.cost_usd:,.2f} USD ({whose}).",
    ]
    if found.unlimited:
        lines.append(
            f"  {counted(found.unlimited, 'request')} set no limit of output tokens: {UNLIMITED:,} are "
            "assumed of each, which is no upper bound."
        )
    return "\n".join(lines)


def unasked(found: Bill) -> BadInput:
    """What to say where nobody can be asked."""
    return BadInput(
        f"the target is not on this machine or in a private network, and the run may cost "
        f"{found.cost_usd:,.2f} USD ({counted(found.requests, 'request')}): confirm it with --yes, "
        "or run it in a terminal"
    )
