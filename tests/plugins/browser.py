"""A headless Chromium for tests: pages of ours, asked about over the DevTools protocol on a pipe.

https://chromedevtools.github.io/devtools-protocol/: with `--remote-debugging-pipe` the browser reads JSON
messages with a NUL behind each from file descriptor 3 and answers on 4. It is kept from the network.
"""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

type RequireTool = Callable[..., str]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    "--proxy-server=127.0.0.1:9",
)
TIMEOUT_S = 60.0
OUR_READING = "willReadFrequently"
"""In a warning about tests that look at the pixels of a canvas more than once."""
PIECE_BYTES = 1 << 20


class Page:
    """A page that was opened: what it logged, and its JavaScript. Times out after a minute."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol to this page."""
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression; a promise is awaited. An exception in it fails the test."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of an expression once it is true."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            select.select([], [], [], 0.02)
        return value

    def errors(self) -> list[str]:
        """What went wrong in the page so far: exceptions, console errors, refused resources."""
        self.evaluate("0")
        return [text for session, text in self._browser.errors if session == self._session]

    def dark(self, wanted: bool) -> None:
        """Make the system prefer a dark or a light theme."""
        value = "dark" if wanted else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key, pressed and let go; `code` is its Windows virtual key."""
        about = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What it looks like, as PNG: the window, or the whole page."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))


class Browser:
    """A Chromium with a profile of its own; a context manager."""

    def __init__(self, program: str) -> None:
        self.errors: list[tuple[str, str]] = []
        self._events: list[dict[str, Any]] = []
        self._number, self._read = 0, b""
        self._profile = TemporaryDirectory(prefix="harness-chromium-", ignore_cleanup_errors=True)
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # The browser wants 3 and 4; a shell puts them there, whatever numbers ours have.
        moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} 2>/dev/null'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                moved,
                "bash",
                program,
                *FLAGS,
                f"--user-data-dir={self._profile.name}",
                "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)

    def open(self, path: Path, width: int = 1280, height: int = 900, *, dark: bool = False) -> Page:
        """Open a file in a window of its own, and wait until it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        page.dark(dark)
        page.call("Page.navigate", url=path.resolve().as_uri())
        page.wait_for(
            f"location.href === {json.dumps(path.resolve().as_uri())} && document.readyState === 'complete'"
        )
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """A command and its answer; what comes meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        data = json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        os.write(self._to, data)
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._from, PIECE_BYTES)
            assert piece, "the browser has ended"
            self._read += piece
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        session, about = event.get("sessionId", ""), event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                self.errors.append((session, str(about["exceptionDetails"].get("exception", about))))
            case "Runtime.consoleAPICalled" if about["type"] in {"error", "warning", "assert"}:
                self.errors.append((session, str(about["args"])))
            case "Log.entryAdded" if about["entry"]["level"] in {"error", "warning"}:
                if OUR_READING not in about["entry"]["text"]:
                    self.errors.append((session, about["entry"]["text"]))

    def close(self) -> None:
        """End the browser, and remove its profile."""
        os.close(self._to)
        self._process.terminate()
        self._process.wait(TIMEOUT_S)
        os.close(self._from)
        self._profile.cleanup()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture(scope="module")
def browser(require_tool: RequireTool) -> Iterator[Browser]:
    """A real browser; `.open(path)` opens a page in it."""
    with Browser(require_tool("chromium", "chromium-browser", "google-chrome")) as started:
        yield started
