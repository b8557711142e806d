"""What the two processes of the recorder have in common: how they speak to their supervisor.

The law of this file: stdin brings one line of JSON and then an end, stdout takes lines of JSON. What a
crash says is the kind of the exception and its place, never a value, which may hold a secret.
"""

import json
import logging
import os
import signal
import sys
import traceback
from types import TracebackType
from typing import Any


def begin(process: str) -> dict[str, Any] | None:
    """Set the process up and read its settings; None: the supervisor is gone already.

    Ctrl-C is ignored: it is meant for the supervisor, which then tells us.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    be_discreet(process)
    line = sys.stdin.readline()
    settings: dict[str, Any] | None = json.loads(line) if line else None
    return settings


def say(**message: object) -> None:
    """Tell the supervisor, if it is still there."""
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit's flush succeeds


def describe(kind: type[BaseException], trace: TracebackType | None) -> str:
    """Kind and place of an exception in one line."""
    frames = traceback.extract_tb(trace)
    return f"{kind.__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else kind.__name__


def be_discreet(process: str) -> None:
    """Let this process print no more than that about exceptions, and nothing of what libraries log."""

    def hook(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        print(f"harness record: the {process} crashed: {describe(kind, trace)}", file=sys.stderr)

    sys.excepthook = hook
    logging.lastResort = None
