"""`harness replay`: serve recordings."""

import json
import math
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import (
    proxy_mode,
    replay_admin,
    replay_door,
    replay_freshness,
    replay_matching,
    replay_misses,
)
from harness.cli.proxy_mode import Mode
from harness.core.errors import BadInput
from harness.core.matching.words import OnMiss, Repeat
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.cli.proxy_mode import WayIn
    from harness.replay.answers import Recorded
    from harness.replay.connection import Connection
    from harness.replay.guard import Guard
    from harness.replay.match import Library
    from harness.replay.service import Outcome

PORT = 8081


def replay(
    ctx: typer.Context,
    recordings: Annotated[list[Path], typer.Argument(help="Recordings (.db) or interchange files (.jsonl).")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            show_default=False,
            help="Port to listen on; 0 is any free one. [default: 8081, or 0 with -- CMD]",
        ),
    ] = None,
    speed: Annotated[float, typer.Option(help="1: as recorded; 0: at once; N: N times as fast.")] = 1.0,
    keep_connect: Annotated[
        bool, typer.Option(help="Play the recorder's connection set-up (DNS, TCP, TLS) as waiting time too.")
    ] = False,
    mode: Annotated[
        Mode, typer.Option(help="reverse: clients use our address as their base URL; proxy: as their proxy.")
    ] = Mode.REVERSE,
    allow_host: proxy_mode.AllowHost = None,
    ca_dir: proxy_mode.CaDir = None,
    validate_requests: Annotated[
        bool, typer.Option("--validate-requests", help="Answer 400 to a request that breaks its schema.")
    ] = False,
    write_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Write the time of every write there."),
    ] = None,
    match_on: replay_matching.MatchOn = None,
    ignore: replay_matching.Ignore = None,
    normalise: replay_matching.Normalise = None,
    default: replay_matching.Default = None,
    preset: replay_matching.PresetChoice = None,
    fuzzy: replay_matching.Fuzzy = None,
    repeat: replay_matching.RepeatChoice = Repeat.LAST,
    seed: replay_matching.Seed = 0,
    session_by: replay_matching.SessionBy = None,
    on_miss: replay_misses.OnMissChoice = OnMiss.FAIL,
    upstream: replay_misses.Upstreams = None,
    keep_requests: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Tell the latest N requests, without secrets, at /__admin/received."
        ),
    ] = 0,
    fault: replay_door.Fault = None,
    faults: replay_door.FaultFile = None,
    api_key: replay_door.ApiKey = None,
    rpm: replay_door.Rpm = None,
    tpm: replay_door.Tpm = None,
    strict: replay_freshness.Strict = False,
    max_age: replay_freshness.MaxAge = None,
    workers: replay_admin.Workers = 1,
    admin_port: replay_admin.AdminPort = None,
    journal: replay_admin.Journal = replay_admin.KEPT,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the closing summary as one line of JSON.")
    ] = False,
) -> int:
    """Serve recordings: the recorded bytes, each at its recorded time.

    A request is answered by the recorded exchange with the same method, path, query and body, by the
    rules of these options and of NAME.match.toml beside NAME.db (docs/matching.md); equal requests in
    recorded order, then the last repeats. Anything else is a miss: a 404 that names the three nearest
    exchanges and what differs, and the exit code 1 at the end. With `-- CMD` the command
    runs with the base URLs of the SDKs set to this server, which ends with it. With --validate-requests,
    what breaks the schema of its endpoint gets a 400 in the API's own form, and the exit code 1 as well.
    Faults (docs/faults.md), API keys and limits are played as asked, and change no exit code. What the
    server does is told at /__admin/ (docs/admin.md).

    With --mode proxy, programs use this server as their proxy: what was recorded of a host is asked of
    that host, over TLS with our own CA. Known providers and --allow-host are answered with a miss where
    nothing matches; other hosts are reached through a tunnel.
    """
    check_speed(speed)
    replay_admin.check_alone(workers, write_log)
    played, limits = replay_door.rules_from(fault, faults), replay_door.limits_from(api_key, rpm, tpm)
    session_of = replay_matching.session_from(session_by)
    said = replay_matching.Said(match_on, ignore, normalise, default, preset, fuzzy)
    rules = replay_matching.rules_from(recordings, said)
    upstreams = replay_misses.upstreams_from(on_miss, upstream, recordings)
    from harness.replay import server  # noqa: PLC0415
    from harness.replay.service import Settings  # noqa: PLC0415

    order = replay_matching.order_from(repeat, seed)
    by_origin = mode is Mode.PROXY
    with server.uncollected():
        library = server.load(
            recordings, keep_connect=keep_connect, rules=rules, order=order, by_origin=by_origin
        )
    guard = guard_on(library) if validate_requests else None
    way = way_of(mode, library, allow_host, ca_dir, on_miss)
    upstreams = replay_misses.named_as(tuple(library.upstreams), upstreams, upstream or ())
    library.upstreams |= dict.fromkeys(one.name for one in upstreams)
    program = program_on(tuple(library.upstreams), ctx.obj, limits.keys, way)
    with replay_misses.recorders(upstreams, recordings[0]) as targets:
        settings = Settings(
            host=host,
            port=port_of(port, ctx.obj),
            speed=speed,
            write_log=write_log,
            kept_requests=keep_requests,
            faults=played,
            limits=limits,
            session_of=session_of,
            simulate=on_miss is OnMiss.SIMULATE,
            recorders=targets,
            demands=replay_freshness.demands_from(max_age, strict=strict),
            journal=journal,
            admin_port=admin_port,
            workers=workers,
        )
        if way:
            settings = replace(settings, connection=connection_of(way, library), hints=way.exports)
        outcome = server.run(library, settings, program, guard)
        print_summary(outcome)
        if as_json:
            print(json.dumps(outcome.model_dump(mode="json")), flush=True)
    return outcome.exit_code


def port_of(port: int | None, program: list[str] | None) -> int:
    """The port to listen on: a program is told which, so it may be any; people want to know it before."""
    return port if port is not None else PORT if program is None else 0


def guard_on(library: "Library[Recorded]") -> "Guard":
    """What refuses requests; recorded ones that it will refuse are told of."""
    from harness.cli.requests import guard_of  # noqa: PLC0415

    guard, refused = guard_of(library)
    if refused:
        what = counted(refused, "recorded request")
        print(f"harness replay: {what} will be refused: invalid by schema", file=sys.stderr)
    return guard


def check_speed(speed: float) -> None:
    """BadInput for a speed that is no time scale."""
    if not math.isfinite(speed) or speed < 0:
        raise BadInput(
            f"--speed {speed:g} is no speed: use 1 (as recorded), 0 (at once) or N (N times as fast)"
        )


def way_of(
    mode: Mode,
    library: "Library[Recorded]",
    allow_host: list[str] | None,
    ca_dir: Path | None,
    on_miss: OnMiss,
) -> "WayIn | None":
    """The way in of `--mode proxy`; None: that of the other one."""
    if mode is Mode.REVERSE:
        proxy_mode.refuse_options(allow_host=allow_host, ca_dir=ca_dir)
        return None
    if on_miss is OnMiss.RECORD:
        raise BadInput("--on-miss record does not go with --mode proxy: harness record --mode proxy appends")
    from harness.core.url import origin  # noqa: PLC0415

    origins = [origin(url) for url in library.upstreams if url]
    plain = any(one.scheme == "http" for one in origins)
    return proxy_mode.way_in("harness replay", allow_host, ca_dir, [one.host for one in origins], plain=plain)


def connection_of(way: "WayIn", library: "Library[Recorded]") -> "Callable[..., Connection]":
    """What makes connections of clients that use us as their proxy."""
    from harness.replay.forward import Doors, ProxyConnection  # noqa: PLC0415

    return partial(ProxyConnection, Doors(way.authority, way.hosts, tuple(filter(None, library.upstreams))))


def program_on(
    upstreams: tuple[str, ...], program: list[str] | None, keys: tuple[str, ...], way: "WayIn | None"
) -> Callable[[str], Awaitable[int]] | None:
    """What runs the program behind `--` once the server's URL is known; a key that it lacks is the first."""
    if program is None:
        return None
    from harness.cli.program import check, environment, run  # noqa: PLC0415
    from harness.core.variables import PLACEHOLDER, base_urls, with_placeholders  # noqa: PLC0415

    check(program)
    key = keys[0] if keys else PLACEHOLDER
    if way:
        return lambda url: run(program, with_placeholders(way.environment(url), key))
    return lambda url: run(program, environment(base_urls(upstreams, url), placeholder_keys=True, key=key))


def print_summary(outcome: "Outcome") -> None:
    """The closing lines, on stderr."""
    timing = outcome.lateness
    requests = f"{counted(outcome.requests, 'request')}: {outcome.answered} answered, {outcome.missed} missed"
    invalid = f", {outcome.invalid} invalid" if outcome.invalid else ""
    unused = f"{len(outcome.unused)} of {counted(outcome.exchanges, 'exchange')} unused"
    stale = f", {len(outcome.stale)} too old" if outcome.stale else ""
    lines = [f"{requests}{invalid}; {unused}{stale}"]
    lines += [*replay_misses.summary(outcome), *replay_door.summary(outcome)]
    lines += replay_freshness.summary(outcome)
    if timing.writes:
        lines.append(
            f"{counted(timing.writes, 'write')}, late by p50 {timing.p50_ms:.2f} ms, "
            f"p99 {timing.p99_ms:.2f} ms, max {timing.max_ms:.2f} ms"
        )
    for line in lines:
        print(f"harness replay: {line}", file=sys.stderr)
