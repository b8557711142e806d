"""Fixtures for tests that need more than Python, and the embedded model server for all of them.

A machine without a C compiler or Node skips such tests and says why; CI sets `HARNESS_REQUIRE_TOOLS=1`,
which turns those skips into failures.
"""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from harness.demo.model_server import ModelServer

type RequireTool = Callable[..., str]


@pytest.fixture(scope="session")
def require_tool() -> RequireTool:
    """`require_tool("cc", "gcc")` gives the path of the first of these programs that is installed."""

    def require(*names: str) -> str:
        found = next(filter(None, map(shutil.which, names)), None)
        if found:
            return found
        reason = f"needs {' or '.join(names)}, which is not installed"
        if os.environ.get("HARNESS_REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return require


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    """The real model server with its fast model; `.url` is its address."""
    with ModelServer() as server:
        yield server
