"""The target before the run: is it there, who is it, and does it stream?

All that a load run says to its target outside of the run itself is said here, over plain `http.client`:
which models it has, which server it is (a table of signs), how it counts tokens, and one real first
request; through a proxy where the environment names one, as the run itself. Whatever is wrong is BadInput
in one line that holds nothing of prompts, answers and keys.
"""

import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from harness.core.derive import Derived, derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Headers, Request, Response, header
from harness.core.json_text import parse
from harness.core.visible import visible
from harness.load.apis import DEFAULT_KEYS, FORMS, Body, Server
from harness.load.place import Place
from harness.load.plan import Call
from harness.load.route import Route
from harness.load.tokens import Measure, calibrate, estimate
from harness.load.words import Api

CONNECT_S = 10.0
ANSWER_S = 60.0
"""How long the target may take for the first piece of an answer; a model may have to be loaded first."""
MOST_BYTES = 64 * 1024 * 1024
READ_BYTES = 65536
SHOWN_MODELS = 5
SHOWN_WORDS = 80

type KeyHeader = Literal["authorization", "x-api-key"]


@dataclass(frozen=True, slots=True)
class Key:
    """Which variable of the environment holds the API key (None: no key), and which header carries it."""

    variable: str | None = None
    header: KeyHeader = "authorization"


def key_of(
    place: Place, api: Api, *, private: bool, variable: str | None, environ: Mapping[str, str] = os.environ
) -> Key:
    """The key for a target. BadInput: the named variable is not set.

    Without a name the SDK's variable is taken, but only for its own provider, and for a target on this
    machine or in a private network: no key travels to another provider unasked.
    """
    kind: KeyHeader = "x-api-key" if api is Api.ANTHROPIC else "authorization"
    if variable is not None:
        if not environ.get(variable, "").strip():
            raise BadInput(f"--key-variable {variable}: the environment has no such variable, or it is empty")
        return Key(variable, kind)
    usual, owner = DEFAULT_KEYS.get(api, ("", ""))
    fits = environ.get(usual, "").strip() and (private or place.host == owner)
    return Key(usual if fits else None, kind)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the target."""

    status: int
    headers: Headers
    body: bytes

    def value(self) -> Any:
        """Its JSON; None where it is none, or an error's."""
        try:
            return parse(self.body) if self.status == 200 else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the target: its models, and which server it is."""

    models: tuple[str, ...] = ()
    server: Server = Server.UNKNOWN

    def model(self) -> str:
        """The only model. BadInput where there are several, or the target does not tell."""
        if len(self.models) == 1:
            return self.models[0]
        if not self.models:
            raise BadInput("--model is missing: the target does not say which models it has")
        shown = ", ".join(visible(name) for name in self.models[:SHOWN_MODELS])
        hidden = len(self.models) - SHOWN_MODELS
        more = f" and {hidden} more" if hidden > 0 else ""
        raise BadInput(f"--model is missing: the target has {len(self.models)}: {shown}{more}")


OWNERS = {
    "llamacpp": Server.LLAMA_CPP,
    "vllm": Server.VLLM,
    "sglang": Server.SGLANG,
    "library": Server.OLLAMA,
}
"""Sign: `owned_by` of the first model in `/v1/models`."""
HEADERS = {"llama.cpp": Server.LLAMA_CPP}
"""Sign: the `server` header."""
HOSTS = {"api.openai.com": Server.OPENAI, "*.openai.azure.com": Server.OPENAI}
"""Sign: the host, as a pattern of `fnmatch`."""


class Target:
    """Speaks to a target. `ca_file`: authorities to trust beside the system's. BadInput for a bad one."""

    def __init__(
        self,
        place: Place,
        key: Key | None = None,
        ca_file: Path | str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.place = place
        self.route = Route.to(place.url, ca_file)
        self.key_headers = key_headers(key or Key(), environ)

    def reach(self) -> None:
        """Connect, with TLS where the URL says so. BadInput says why that is not possible."""
        try:
            self.opened().close()
        except (OSError, HTTPException) as error:
            raise self.unreachable(error) from error

    def examine(self) -> Found:
        """Who it is; what it does not tell is unknown. BadInput: it cannot be reached, or wants a key."""
        path = self.place.api_path("/models")
        reply = self.ask("GET", path, None)
        if reply.status == 401:
            raise BadInput(f"the target refuses GET {path}: 401{HINTS[401]}")
        models = models_in(reply.value())
        names = tuple(name for name, _ in models)
        return Found(names, server_of(self.place, reply, models[0][1] if models else ""))

    def measure(self, server: Server, api: Api, model: str) -> Measure:
        """How it counts tokens, or an estimate where it does not tell."""
        counter = COUNTERS.get(server)
        try:
            measure = calibrate(counter(self, api, model)) if counter else None
        except LookupError:
            measure = None
        return measure or estimate(api)

    def ask(self, method: str, path: str, body: Body | None) -> Reply:
        """One request and its whole answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = (("content-type", "application/json"),) if data is not None else ()
        version = FORMS[Api.ANTHROPIC].headers[1:]
        try:
            with closing(self.opened()) as connection:
                response = self.send(connection, method, path, data, (*headers, *version))
                return Reply(response.status, tuple(response.getheaders()), response.read(MOST_BYTES))
        except (OSError, HTTPException) as error:
            raise self.unreachable(error) from error

    def try_out(self, call: Call, answer_s: float = ANSWER_S) -> None:
        """Make the first request. BadInput: an error, or no stream where one was asked for.

        The connection is closed once content has come.
        """
        what = f"{call.method} {call.path.partition('?')[0]}"
        try:
            with closing(self.opened(answer_s)) as connection:
                response = self.send(connection, call.method, call.path, call.body.encode(), call.headers)
                exchange, derived = self.first_content(call, response, monotonic() + answer_s)
        except TimeoutError as error:
            raise BadInput(f"the target did not answer {what} within {answer_s:g} s: is it busy?") from error
        except (OSError, HTTPException) as error:
            raise self.unreachable(error) from error
        judge(call, what, exchange, derived)

    def first_content(self, call: Call, response: HTTPResponse, deadline: float) -> tuple[Exchange, Derived]:
        """The answer as far as its first content, or to its end."""
        request = Request(call.method, f"{self.place.url}{call.path}", call.headers, call.body.encode())
        answer = Response(response.status, tuple(response.getheaders()), 0, (), 0)
        exchange = Exchange(request, answer)
        derived = derive(exchange)
        while data := response.read1(READ_BYTES):
            answer = replace(answer, chunks=(*answer.chunks, (0, data)))
            exchange = replace(exchange, response=answer)
            derived = derive(exchange)
            if (derived.stream and derived.content_ns) or monotonic() > deadline:
                break
        return exchange, derived

    def send(
        self, connection: HTTPConnection, method: str, path: str, body: bytes | None, headers: Headers
    ) -> HTTPResponse:
        """Send a request; its answer, of which the head has been read."""
        connection.putrequest(method, self.route.request_target(path), skip_accept_encoding=True)
        own = {"accept-encoding": "identity", "user-agent": "harness", **dict(self.key_headers)}
        own |= self.route.proxy_headers()
        own |= {} if body is None else {"content-length": str(len(body))}
        for name, value in (*headers, *own.items()):
            connection.putheader(name, value.encode("utf-8", "surrogateescape"))
        connection.endheaders(body)
        return connection.getresponse()

    def opened(self, answer_s: float = ANSWER_S) -> HTTPConnection:
        """A connection that is open; what comes on it may be silent for so long."""
        kind = HTTPSConnection if self.route.secure else HTTPConnection
        connection = kind(self.place.host, self.place.port)
        connection.sock = self.route.connect(CONNECT_S)
        connection.sock.settimeout(answer_s)
        return connection

    def unreachable(self, error: Exception) -> BadInput:
        """What to tell the user of a connection that failed."""
        proxy = self.route.proxy
        if proxy and isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            what = f"the proxy {proxy.host}:{proxy.port}, which the environment names"
            why = error.strerror or str(error) or type(error).__name__
            return BadInput(f"--target {self.place.url}: not reached through {what}: {why}")
        said = next(say for kind, say in FAILURES if isinstance(error, kind))
        return BadInput(f"--target {self.place.url}: {said(self.place, error)}")


FAILURES: tuple[tuple[type[Exception], Callable[[Place, Any], str]], ...] = (
    (socket.gaierror, lambda place, _: f"the name {place.host} cannot be resolved: is it spelt right?"),
    (
        ConnectionRefusedError,
        lambda place, _: f"nothing listens at {place.authority}: is the server running?",
    ),
    (
        ssl.SSLCertVerificationError,
        lambda _, error: (
            f"its certificate is not trusted ({error.verify_message}): name its authority with --ca-file"
        ),
    ),
    (ssl.SSLError, lambda *_: "it does not speak TLS: is it an http:// URL?"),
    (TimeoutError, lambda place, _: f"{place.authority} does not answer: is it the right address?"),
    (ConnectionResetError, lambda *_: "it closed the connection without an answer: is it the right port?"),
    (IncompleteRead, lambda *_: "it broke its answer off"),
    (HTTPException, lambda *_: "it answers, but not with HTTP: is it the right port?"),
    (OSError, lambda _, error: f"it cannot be reached: {error.strerror or type(error).__name__}"),
)
"""What is said of which error; the first that fits counts."""


def key_headers(key: Key, environ: Mapping[str, str] = os.environ) -> Headers:
    """The header with the key. BadInput where the environment has none, or one that no header can hold."""
    if key.variable is None:
        return ()
    value = environ.get(key.variable, "").strip()
    if not value:
        raise BadInput(f"${key.variable}, which is to hold the API key, is not set in this environment")
    if not value.isascii() or not value.isprintable():
        raise BadInput(f"${key.variable} is no API key: it holds characters that no header can")
    return ((key.header, f"Bearer {value}" if key.header == "authorization" else value),)


def models_in(value: Any) -> list[tuple[str, str]]:
    """Names and owners of the models in the answer to `/v1/models`."""
    rows = value.get("data") if isinstance(value, dict) else None
    named = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [(row["id"], str(row.get("owned_by", ""))) for row in named if isinstance(row.get("id"), str)]


def server_of(place: Place, reply: Reply, owner: str) -> Server:
    """Which server it is, by the tables of signs."""
    name = (header(reply.headers, "server") or "").lower()
    hosts = (server for pattern, server in HOSTS.items() if fnmatch(place.host, pattern))
    signs = (*hosts, HEADERS.get(name), OWNERS.get(owner))
    return next((sign for sign in signs if sign), Server.UNKNOWN)


def judge(call: Call, what: str, exchange: Exchange, derived: Derived) -> None:
    """BadInput for an answer that a run would count as a failure."""
    assert exchange.response
    status = exchange.response.status
    error = visible(derived.error or "")[:SHOWN_WORDS]
    if status >= 400:
        said = f" {error}" if error and error != str(status) else ""
        raise BadInput(f"the target refuses the first request: {what}: {status}{said}{HINTS.get(status, '')}")
    if not 200 <= status < 300:
        raise BadInput(f"the target does not answer the first request: {what}: {status}")
    if error:
        raise BadInput(f"the target answers the first request with an error: {what}: {error}")
    if call.stream and not derived.stream:
        kind = visible(header(exchange.response.headers, "content-type") or "no content type")[:SHOWN_WORDS]
        raise BadInput(f"the target does not stream: {what} asked for a stream and got {kind}")


HINTS = {
    401: ": set the API key in the environment, or name its variable with --key-variable",
    403: ": is the API key right, and may it use this model?",
    404: ": are path, --api and --model right?",
    405: ": is --api right?",
    429: ": the limit of requests is reached already",
}
"""What to try."""

type Count = Callable[[str], int]


def llama_cpp(target: Target, api: Api, _model: str) -> Count:
    """llama.cpp: `/apply-template` gives the whole prompt, `/tokenize` its tokens."""

    def count(text: str) -> int:
        prompt = text
        if api is not Api.COMPLETIONS:
            prompt = told(target, "/apply-template", FORMS[Api.CHAT].text(text), "prompt", str)
        body = {"content": prompt, "add_special": True, "parse_special": True}
        return len(told(target, "/tokenize", body, "tokens", list))

    return count


def vllm(target: Target, api: Api, model: str) -> Count:
    """vLLM: `/tokenize` counts prompts and, with their template, messages."""

    def count(text: str) -> int:
        prompt = {"prompt": text} if api is Api.COMPLETIONS else FORMS[Api.CHAT].text(text)
        return told(target, "/tokenize", {"model": model, **prompt}, "count", int)

    return count


def sglang(target: Target, api: Api, model: str) -> Count:
    """SGLang: `/tokenize` counts prompts alone, so that what a template adds stays unknown."""
    if api is not Api.COMPLETIONS:
        raise LookupError("no messages")
    return vllm(target, api, model)


COUNTERS: dict[Server, Callable[[Target, Api, str], Count]] = {
    Server.LLAMA_CPP: llama_cpp,
    Server.VLLM: vllm,
    Server.SGLANG: sglang,
}
"""The servers that count tokens: how."""


def told[T](target: Target, path: str, body: Body, name: str, kind: type[T]) -> T:
    """A field of a server's answer. LookupError: this server does not tell it."""
    value = target.ask("POST", path, body).value()
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise LookupError(path)
    return found
