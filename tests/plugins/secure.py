"""An upstream with TLS, HTTP/1.1 and HTTP/2: a real server (Hypercorn) under a CA of its own.

`secure_upstream.url` is its address: one of loopback's that no list of NO_PROXY names. `.ca` is the file of
its CA's certificate, `.client_ca` a context that trusts it alone. It speaks OpenAI's chat (an event each
20 ms), and on some other paths shows what a server may do: see `ANSWERS`.
"""

import asyncio
import json
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from harness.authority import Authority

type Scope = Mapping[str, Any]
type Receive = Callable[[], Awaitable[dict[str, Any]]]
type Send = Callable[[dict[str, Any]], Awaitable[None]]

HOST = "127.0.0.2"
WORDS = ("Hel", "lo", " world", "!")
GAP_S = 0.02
BUILD = Path(__file__).parents[2] / "build"


def event(delta: Mapping[str, str], finish: str | None = None) -> bytes:
    """One event of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    return f"data: {json.dumps(head | {'choices': [choice]})}\n\n".encode()


async def start(send: Send, status: int, content_type: str = "application/json", **headers: str) -> None:
    fields = {"content-type": content_type} | {name.replace("_", "-"): text for name, text in headers.items()}
    pairs = [(name.encode(), text.encode()) for name, text in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def body(send: Send, data: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def all_of(receive: Receive) -> int:
    """Take the request's body, and say how long it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    return size


async def chat(_scope: Scope, receive: Receive, send: Send) -> None:
    await all_of(receive)
    await start(send, 200, "text/event-stream")
    for word in WORDS:
        await body(send, event({"content": word}), more=True)
        await asyncio.sleep(GAP_S)
    await body(send, event({}, "stop") + b"data: [DONE]\n\n")


async def sizes(scope: Scope, receive: Receive, send: Send) -> None:
    size = await all_of(receive)
    await start(send, 200)
    await body(send, json.dumps({"bytes": size, "http": scope["http_version"]}).encode())


async def moved(_scope: Scope, _receive: Receive, send: Send) -> None:
    await start(send, 307, location="/v1/models")
    await body(send, b"")


async def away(_scope: Scope, _receive: Receive, send: Send) -> None:
    await start(send, 302, location="https://elsewhere.test/?key=planted")
    await body(send, b"")


ANSWERS = {
    "/v1/chat/completions": chat,
    "/v1/files": sizes,
    "/v1/models": sizes,
    "/moved": moved,
    "/away": away,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The server's answers (ASGI)."""
    if scope["type"] == "lifespan":
        for _ in ("startup", "shutdown"):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        await ANSWERS[scope["path"]](scope, receive, send)


class SecureUpstream:
    """The server, in a thread."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder / "ca")
        pair = folder / "both.pem"
        pair.write_bytes(authority.leaf(HOST))
        self.ca = authority.certificate_file
        self.config = Config()
        self.config.bind = [f"{HOST}:0"]
        self.config.certfile = self.config.keyfile = str(pair)
        self.config.errorlog = self.config.accesslog = None
        sockets = self.config.create_sockets()
        self.port: int = sockets.secure_sockets[0].getsockname()[1]
        self.config.create_sockets = lambda: sockets  # type: ignore[method-assign]
        self.url = f"https://{HOST}:{self.port}"
        self.loop = asyncio.new_event_loop()
        self.over = asyncio.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(serve(cast("Any", app), self.config, shutdown_trigger=self.over.wait))

    def context(self) -> ssl.SSLContext:
        """For a client that trusts this server alone."""
        return ssl.create_default_context(cafile=self.ca)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(20)


@pytest.fixture(scope="module")
def secure_upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureUpstream]:
    """A server with TLS for the tests of a module."""
    server = SecureUpstream(tmp_path_factory.mktemp("secure"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def npm(require_tool: Callable[..., str]) -> Callable[..., Path]:
    """`npm("openai@6")` gives a folder with these packages of Node; skips where they cannot be fetched."""

    def fetched(*packages: str) -> Path:
        require_tool("node")
        folder = BUILD / "npm"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [folder / "node_modules" / name.rpartition("@")[0] for name in packages]
        if not all(path.is_dir() for path in wanted):
            command = [
                require_tool("npm"),
                "install",
                "--no-audit",
                "--no-fund",
                "--prefix",
                str(folder),
                *packages,
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            if done.returncode:
                pytest.skip(f"npm cannot fetch {' '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}")
        return folder

    return fetched
