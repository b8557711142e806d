"""`harness replay`: serve recordings."""

import json
import math
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import replay_admin, replay_door, replay_matching, replay_misses
from harness.core.errors import BadInput
from harness.core.matching.words import OnMiss, Repeat
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.replay.answers import Recorded
    from harness.replay.guard import Guard
    from harness.replay.match import Library
    from harness.replay.service import Outcome

PORT = 8081
UNUSED_SHOWN = 10


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
    library = server.load(recordings, keep_connect=keep_connect, rules=rules, order=order)
    guard = guard_on(library) if validate_requests else None
    upstreams = replay_misses.named_as(tuple(library.upstreams), upstreams, upstream or ())
    library.upstreams |= dict.fromkeys(one.name for one in upstreams)
    program = program_on(tuple(library.upstreams), ctx.obj, limits.keys)
    with replay_misses.recorders(upstreams, recordings[0]) as targets:
        simulate = on_miss is OnMiss.SIMULATE
        settings = Settings(
            host=host,
            port=port_of(port, ctx.obj),
            speed=speed,
            write_log=write_log,
            kept_requests=keep_requests,
            faults=played,
            limits=limits,
            session_of=session_of,
            simulate=simulate,
            recorders=targets,
            journal=journal,
            admin_port=admin_port,
            workers=workers,
        )
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


def program_on(
    upstreams: tuple[str, ...], program: list[str] | None, keys: tuple[str, ...]
) -> Callable[[str], Awaitable[int]] | None:
    """What runs the program behind `--` once the server's URL is known; a key that it lacks is the first."""
    if program is None:
        return None
    from harness.cli.program import PLACEHOLDER, check, environment, run  # noqa: PLC0415

    check(program)
    key = keys[0] if keys else PLACEHOLDER
    return lambda url: run(program, environment(base_urls(upstreams, url), placeholder_keys=True, key=key))


def base_urls(upstreams: tuple[str, ...], url: str) -> dict[str, str]:
    """Where each upstream is served: at `/NAME` where there are several, so that none is mistaken."""
    if len(upstreams) <= 1:  # of an empty recording, too: its program must not reach the real API
        return {"".join(upstreams) or "default": url}
    return {name or "default": f"{url}/{name}" if name else url for name in upstreams}


def print_summary(outcome: "Outcome") -> None:
    """The closing lines, on stderr."""
    timing = outcome.lateness
    requests = f"{counted(outcome.requests, 'request')}: {outcome.answered} answered, {outcome.missed} missed"
    invalid = f", {outcome.invalid} invalid" if outcome.invalid else ""
    unused = f"{len(outcome.unused)} of {counted(outcome.exchanges, 'exchange')} unused"
    lines = [f"{requests}{invalid}; {unused}"]
    lines += [*replay_misses.summary(outcome), *replay_door.summary(outcome)]
    lines += [f"  unused: {row}" for row in outcome.unused[:UNUSED_SHOWN]]
    if len(outcome.unused) > UNUSED_SHOWN:
        lines.append(f"  unused: and {len(outcome.unused) - UNUSED_SHOWN} more")
    if timing.writes:
        lines.append(
            f"{counted(timing.writes, 'write')}, late by p50 {timing.p50_ms:.2f} ms, "
            f"p99 {timing.p99_ms:.2f} ms, max {timing.max_ms:.2f} ms"
        )
    for line in lines:
        print(f"harness replay: {line}", file=sys.stderr)
