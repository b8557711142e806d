"""`harness run`: run a command on a recording, which is made where the record mode says so."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from harness.core.errors import BadInput, NotRecorded
from harness.core.record_mode import Act, Asked, RecordMode, act_of, is_ci

OPTION = "--record-mode"


def run(
    ctx: typer.Context,
    db: Annotated[Path, typer.Option(help="Recording to replay, or to make.")],
    record_mode: Annotated[
        RecordMode,
        typer.Option(OPTION, help="When: never, where no file is, what misses, or anew."),
    ] = RecordMode.NONE,
    upstream: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]URL", show_default=False, help="API to record, once for each."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(show_default=False, help="Of a replay. [default: that of harness replay]"),
    ] = None,
) -> int:
    """Run the command behind `--` on a recording: replayed, recorded or both, as in VCR.py.

    none: replay; a request that is not recorded misses, and the exit code is 1. once: record where there
    is no such file, else as none. new_episodes: replay, and record what misses. all: record everything
    anew; the old file stays until the new one is whole. Where CI is set, nothing is ever recorded: every
    mode is none. It runs `harness replay` and `harness record`, with their own settings and exit codes.
    """
    program: list[str] | None = ctx.obj
    if program is None:
        raise BadInput("harness run runs the command behind '--': add -- CMD, for example -- pytest")
    asked = Asked(record_mode, OPTION, is_ci(os.environ))
    act = act_of(asked, str(db), exists=db.exists())
    if asked.ci and record_mode is not RecordMode.NONE:
        print(f"harness run: CI is set: {OPTION} {record_mode} only replays", file=sys.stderr)
    if act is Act.RENEW:
        return renew(db, recorder(db, upstream), program)
    extend = ("--on-miss", "record", *recorder(db, upstream)) if act is Act.EXTEND else ()
    pace = () if speed is None else ("--speed", str(speed))
    return child("replay", str(db), *extend, *pace, "--", *program)


def recorder(db: Path, upstreams: Sequence[str] | None) -> list[str]:
    """The options that say what to record. BadInput: nothing does, or it cannot be recorded into."""
    if db.suffix == ".jsonl":
        raise BadInput(f"{db} is an interchange file, which nothing is recorded into: name a .db")
    if not upstreams:
        raise BadInput(f"this {OPTION} records: say from where with --upstream https://api.openai.com")
    return [word for one in upstreams for word in ("--upstream", one)]


def child(*arguments: str) -> int:
    """Run a command of harness to its end; its exit code."""
    from harness.child import harness_command  # noqa: PLC0415
    from harness.cli.program import run as to_its_end  # noqa: PLC0415

    return asyncio.run(to_its_end(harness_command(*arguments), os.environ))


def renew(db: Path, upstreams: Sequence[str], program: Sequence[str]) -> int:
    """Record into a new file, which takes its name (and an old one's place) where it is whole."""
    from harness.store.renewal import Renewal  # noqa: PLC0415

    renewal = Renewal(db)
    code = child("record", *upstreams, "--db", str(renewal.new), "--", *program)
    if code == BadInput.exit_code and not renewal.new.exists():
        return code  # the recorder has said why
    kept = renewal.finish(lost=code == NotRecorded.exit_code)
    if kept is None:
        made = f"{db} is recorded" if db.exists() else f"nothing was asked, so {db} is not made"
        print(f"harness run: {made}", file=sys.stderr)
        return code
    print(f"harness run: {kept}", file=sys.stderr)
    return code or NotRecorded.exit_code
