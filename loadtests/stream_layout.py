"""Where the processes of a run find what to do: in its folder, or in a message where they see none."""

import base64
import logging
import os
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from locust.env import Environment

from harness.load.folder import VARIABLE, Folder
from harness.load.plan import Call, Plan

LARGEST_SKEW_NS = 5_000_000_000
"""Clocks of two machines that differ by more are not to be believed."""

TOKEN = secrets.token_hex(8)
"""Of this process and of the workers that it forks: those see its folder, and no others may."""

type MakePlan = Callable[[Environment], tuple[Plan, list[Call]]]
"""Makes plan and calls from the options of plain Locust."""

logger = logging.getLogger(__name__)


def layout(environment: Environment, make_plan: MakePlan) -> Folder:
    """The run's folder: the one that is given, or for plain Locust a fresh one with what its options say."""
    if VARIABLE in os.environ:
        return Folder(Path(os.environ[VARIABLE]))
    folder = fresh_folder()
    folder.write(*make_plan(environment))
    logger.info("What is sent and what comes back is written to %s", folder.path)
    return folder


def fresh_folder() -> Folder:
    """A folder of this machine's own."""
    return Folder(Path(tempfile.mkdtemp(prefix="harness-load-")))


def packed(folder: Folder) -> dict[str, str]:
    """What a worker elsewhere must know, as text."""
    files = {"plan": folder.plan_file, "calls": folder.calls_file, "arrivals": folder.arrivals_file}
    return {name: base64.b64encode(zlib.compress(path.read_bytes())).decode() for name, path in files.items()}


def ordered_folder(order: dict[str, Any]) -> Folder:
    """The folder of an order; on a machine that does not see the master's, one of its own."""
    if "folder" in order:
        return Folder(Path(order["folder"]))
    folder = fresh_folder()
    logger.info("What is sent and what comes back is in %s until the master has it", folder.path)
    files = {"plan": folder.plan_file, "calls": folder.calls_file, "arrivals": folder.arrivals_file}
    for name, path in files.items():
        path.write_bytes(zlib.decompress(base64.b64decode(order[name])))
    return folder


def remove(folder: Folder) -> None:
    """Remove a folder that was made here."""
    shutil.rmtree(folder.path, ignore_errors=True)


def start_of(wall_ns: int) -> int:
    """A moment of the wall clock on the monotonic one; now, where the clocks of two machines disagree."""
    ahead_ns = wall_ns - time.time_ns()
    return time.monotonic_ns() + (ahead_ns if abs(ahead_ns) < LARGEST_SKEW_NS else 0)
