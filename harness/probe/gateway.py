"""The gateway as a child of the probe, told where its provider is; and waiting until it listens.

It gets a session of its own, so that all that it starts can be ended with it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from types import TracebackType
from urllib.parse import urlsplit

from harness.core.errors import BadInput
from harness.core.visible import last_line
from harness.probe.talk import Place

STOP_S = 10.0
LOOK_S = 0.05


def filled(command: Sequence[str], provider: str) -> list[str]:
    """The command with `{provider}` and `{port}` replaced; other braces stay.

    >>> filled(["gateway", "--to={provider}/v1", "{port}", "{}"], "http://127.0.0.1:80")
    ['gateway', '--to=http://127.0.0.1:80/v1', '80', '{}']
    """
    port = str(urlsplit(provider).port)
    return [word.replace("{provider}", provider).replace("{port}", port) for word in command]


def variables(environment: Mapping[str, str], provider: str) -> dict[str, str]:
    """An environment in which the usual variables say where the provider is."""
    named = {"HARNESS_PROVIDER_URL": provider, "OPENAI_BASE_URL": f"{provider}/v1"}
    key = {"OPENAI_API_KEY": "placeholder-for-replay"}
    return {**key, **environment, **named, "NO_PROXY": "127.0.0.1,localhost,::1"}


class Gateway:
    """A running gateway; a context manager that ends it. What it says goes to a file."""

    def __init__(self, command: Sequence[str], provider: str, log: Path) -> None:
        self.log = log
        words = filled(command, provider)
        try:
            with log.open("wb") as file:
                self.process = subprocess.Popen(
                    words,
                    env=variables(os.environ, provider),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
        except OSError as error:
            raise BadInput(f"cannot run {words[0]!r}: {error.strerror}") from None

    def last_words(self) -> str:
        """The last line that it said, safe to print."""
        return last_line(self.log.read_text("utf-8", "replace"), "nothing")

    def check(self) -> None:
        """BadInput: it has ended."""
        code = self.process.poll()
        if code is not None:
            raise BadInput(f"the gateway ended with code {code}; it last said: {self.last_words()}")

    def stop(self) -> None:
        """End it politely; by force what is left of it and of all that it started, also on Ctrl-C."""
        try:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_S)
        finally:
            self.signal(signal.SIGKILL)
            self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to all that it started, as far as they are still there."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def check_free(place: Place) -> None:
    """BadInput: something listens where a gateway is to be started: it would be probed in its place."""
    if listens(place):
        raise BadInput(
            f"something listens on {place.authority} already: end it, or probe it without -- COMMAND"
        )


def wait_until_it_listens(place: Place, gateway: Gateway | None, limit_s: float) -> None:
    """Wait for the port to open. BadInput: it does not, or the gateway ended."""
    deadline = time.monotonic() + limit_s
    while not listens(place):
        if gateway:
            gateway.check()
        if time.monotonic() > deadline:
            where = place.authority
            raise BadInput(f"nothing listens on {where} after {limit_s:g} s; is --gateway where it listens?")
        Event().wait(LOOK_S)


def listens(place: Place) -> bool:
    """Whether a connection can be made."""
    try:
        socket.create_connection((place.host, place.port), timeout=1.0).close()
    except OSError:
        return False
    return True
