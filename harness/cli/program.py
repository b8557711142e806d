"""Running the program behind `--` on the servers of harness.

The law of this file: the program gets our environment with what `harness.core.variables` says of the
servers. It shares our terminal; what its exit code is, ours becomes.
"""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.core.errors import BadInput
from harness.core.variables import PLACEHOLDER, variables_of, with_placeholders, without_proxy

FORWARDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
GRACE_S = 5.0
"""From SIGTERM to SIGKILL for a program that must end."""


def environment(urls: Mapping[str, str], *, placeholder_keys: bool, key: str = PLACEHOLDER) -> dict[str, str]:
    """Our environment with the base URLs of these upstreams (name -> URL, without a slash at its end).

    Loopback is never reached through a proxy. With `placeholder_keys`, API keys that are missing get
    a value, `key`, since the SDKs want one even where nobody reads it.
    """
    variables = {**os.environ, **variables_of(urls), **without_proxy(os.environ)}
    return with_placeholders(variables, key) if placeholder_keys else variables


def check(program: list[str]) -> None:
    """BadInput if there is no such program, before anything is started for it."""
    name = program[0]
    if shutil.which(name) is None:
        raise BadInput(f"cannot run {name!r}: {why_not(name)}; what stands behind '--' is the command")


def why_not(name: str) -> str:
    """Why what is named cannot be run. A name without a slash is looked for in PATH alone."""
    if os.sep not in name or not Path(name).exists():
        return "no such program"
    return "it is a folder" if Path(name).is_dir() else "it is not executable"


async def run(program: list[str], env: Mapping[str, str]) -> int:
    """Run a program to its end; its exit code, as a shell gives it (128 + signal).

    SIGINT, SIGTERM and SIGHUP are passed on to it meanwhile, also those that come while it starts. If
    this task is cancelled, the program is ended.
    """
    check(program)
    with forwarding() as forwarder:
        try:
            process = await asyncio.create_subprocess_exec(*program, env=dict(env))
        except OSError as error:
            raise BadInput(f"cannot run {program[0]!r}: {error.strerror}") from None
        forwarder.to(process)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await end(process)
            raise
    return code if code >= 0 else 128 - code


class Forwarder:
    """Passes signals on to a process, but for a Ctrl-C that the terminal gives to both of us."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.early: list[signal.Signals] = []

    def to(self, process: Process) -> None:
        """The process is there: pass on what came while it started."""
        self.process = process
        for number in self.early:
            self.forward(number)

    def forward(self, number: signal.Signals) -> None:
        """Pass one signal on, or keep it until there is a process."""
        if self.process is None:
            self.early.append(number)
        elif number is not signal.SIGINT or not in_foreground():
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


@contextmanager
def forwarding() -> Iterator[Forwarder]:
    """Pass signals on while this lasts, but for those that we were told to ignore, as `nohup` does."""
    loop = asyncio.get_running_loop()
    numbers = [number for number in FORWARDED if not is_ignored(number)]
    forwarder = Forwarder()
    for number in numbers:
        loop.add_signal_handler(number, forwarder.forward, number)
    try:
        yield forwarder
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def is_ignored(number: signal.Signals) -> bool:
    """Whether a SIGHUP means nothing to us. (Scripts ignore SIGINT for all that they put behind them.)"""
    return number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN


def in_foreground() -> bool:
    """Whether the terminal's Ctrl-C reaches our whole process group."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, or no stdin at all
        return False


async def end(process: Process) -> None:
    """End a process, by force if it does not end."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
