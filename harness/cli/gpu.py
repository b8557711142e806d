"""`harness gpu`: what the cards do, as a table that is kept up to date, as lines, or served over HTTP."""

import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from harness.cli.output import Column, Row, decimals
from harness.core.errors import BadInput

if TYPE_CHECKING:
    from harness.load.gpu.board import Board, State
    from harness.load.gpu.open import Source
    from harness.load.gpu.records import Emit, GpuRecord

GIB = 1024**3
MW_PER_W = MJ_PER_J = 1000
LONGEST_S = 10**9
"""Thirty years: of no more seconds nanoseconds are exact."""
A_SECOND = 4
"""How often the table is drawn anew, a second."""

COLUMNS = [
    Column("gpu", right=True),
    Column("name", rank=5),
    Column("host", rank=7),
    Column("busy_percent", right=True, show=decimals(0)),
    Column("sm_percent", right=True, rank=3, show=decimals(0)),
    Column("dram_percent", right=True, rank=4, show=decimals(0)),
    Column("memory_gib", right=True, show=decimals(1)),
    Column("of_gib", right=True, rank=2, show=decimals(0)),
    Column("power_w", right=True, show=decimals(0)),
    Column("energy_j", right=True, rank=1, show=decimals(0)),
    Column("sm_mhz", right=True, rank=4),
    Column("temp_c", right=True, rank=2, show=decimals(0)),
    Column("processes", right=True, rank=6),
    Column("throttling", rank=1),
    Column("trouble"),
]


def gpu(
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="URL", help="Read another host's: harness gpu --serve, dcgm-exporter."
        ),
    ] = "nvml",
    gpus: Annotated[
        list[str] | None,
        typer.Option(metavar="GPU", help="By index or UUID; several, or with commas. [default: all]"),
    ] = None,
    rate: Annotated[float, typer.Option(metavar="HZ", help="Samples a second, 1 to 10.")] = 5.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="S", min=0, max=LONGEST_S, help="End after so many seconds. [default: Ctrl-C ends it]"
        ),
    ] = None,
    serve: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve as Prometheus text at /metrics.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON Lines.")] = False,
) -> int:
    """Show what the GPUs do: activity, memory, power, clocks, heat, throttling, errors.

    Samples NVML, or another host's metrics. busy: time in which any kernel ran, which is not how much of
    the card it used; sm and dram (Hopper and later) say that. energy: since the start. A card that lacks
    a counter leaves it empty. Without a driver: exit code 2.
    """
    from harness.load.gpu.board import Board  # noqa: PLC0415
    from harness.load.gpu.open import opened  # noqa: PLC0415

    address = split_address(serve) if serve is not None else None
    cards, board = opened(source, rate, gpus or ()), Board()
    for card in cards.cards:  # known before anybody asks
        board.take(card)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        stack.callback(
            signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler)
        )
        if address:
            stack.callback(start_server(board, *address, on=sys.stderr if as_json else sys.stdout))
        sinks = [board.take, *stack.enter_context(Shown(board, as_json=as_json, serves=bool(address))).sinks]
        watch(cards, sinks, duration)
    return 0


def watch(cards: "Source", sinks: "list[Emit]", duration: float | None) -> None:
    """Sample until the duration is over or Ctrl-C comes.

    That is in another thread: an interrupt here never falls between two halves of its work.
    """

    def emit(record: "GpuRecord") -> None:
        for sink in sinks:
            sink(record)

    stop = Event()
    with ThreadPoolExecutor(1, thread_name_prefix="gpu-ticks") as pool:
        try:
            pool.submit(cards.run, emit, stop, duration).result()
        except KeyboardInterrupt:
            pass  # it is to end, and does so in order
        finally:
            stop.set()


class Shown:
    """What is on stdout meanwhile: records, or a table; where it is served and no terminal, nothing."""

    def __init__(self, board: "Board", *, as_json: bool, serves: bool) -> None:
        self.board, self.as_json = board, as_json
        self.has_table = not as_json and (not serves or sys.stdout.isatty())
        self.sinks: list[Emit] = []
        self.live: Any = None

    def __enter__(self) -> "Shown":
        if self.as_json:
            from harness.load.gpu.lines import LineWriter  # noqa: PLC0415

            self.sinks.append(LineWriter(sys.stdout).take)
        if self.has_table:
            from rich.live import Live  # noqa: PLC0415

            from harness.cli.terminal import SafeConsole, table_of  # noqa: PLC0415

            console = SafeConsole()
            self.live = Live(
                console=console,
                get_renderable=lambda: table_of(COLUMNS, self.rows(), console.width),
                refresh_per_second=A_SECOND,
            )
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()
            if not self.live.console.is_terminal:
                print()  # rich leaves the last line open there

    def rows(self) -> list[Row]:
        """A row a card, each followed by its instances."""
        return [self.row(state) for state in self.board.states()]

    def row(self, state: "State") -> Row:
        """What is known of a card."""
        card, values = state.card, state.values
        return {
            "gpu": f"{'' if card.parent is None else 'MIG '}{card.index}",
            "name": card.name,
            "host": card.host,
            "busy_percent": values.get("utilisation_percent"),
            "sm_percent": values.get("sm_active_percent"),
            "dram_percent": values.get("dram_active_percent"),
            "memory_gib": part(values.get("memory_used_bytes"), GIB),
            "of_gib": part(card.memory_total_bytes, GIB),
            "power_w": part(values.get("power_instant_mw", values.get("power_mw")), MW_PER_W),
            "energy_j": part(state.energy_mj, MJ_PER_J),
            "sm_mhz": values.get("sm_clock_mhz"),
            "temp_c": values.get("temperature_c"),
            "processes": None if state.processes is None else len(state.processes),
            "throttling": throttling(values.get("throttle_reasons")),
            "trouble": trouble(state),
        }


def part(value: float | None, unit: int) -> float | None:
    """A value in a larger unit."""
    return None if value is None else value / unit


def throttling(bits: float | None) -> str | None:
    """Why the clocks are low, without idleness."""
    from harness.load.gpu.counters import IDLE, reasons_of  # noqa: PLC0415

    return None if bits is None else " ".join(word for word in reasons_of(int(bits)) if word != IDLE)


def trouble(state: "State") -> str:
    """What went wrong with a card."""
    xids = [f"Xid {code}" for code in state.xids]
    return " ".join([*(["lost"] if state.lost_ns is not None else []), *xids])


def split_address(text: str) -> tuple[str, int]:
    """Host and port; BadInput: no such.

    >>> split_address("127.0.0.1:9835"), split_address("[::1]:0")
    (('127.0.0.1', 9835), ('::1', 0))
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BadInput(f"{text!r} is no address to serve at: HOST:PORT, such as 127.0.0.1:9835")
    return host.removeprefix("[").removesuffix("]"), int(port)


def start_server(board: "Board", host: str, port: int, on: TextIO) -> Callable[[], None]:
    """Serve a board and say where (`on`: stdout, unless records go there); gives what ends it.

    BadInput: the address is taken, or not ours.
    """
    from harness.load.gpu.served import serve  # noqa: PLC0415

    try:
        url, server = serve(board, host, port)
    except OSError as error:
        raise BadInput(f"cannot serve at {host}:{port}: {error.strerror}") from None
    print(f"harness gpu: listening on {url} (Prometheus text at /metrics)", file=on, flush=True)

    def end() -> None:
        server.shutdown()
        server.server_close()

    return end
