import json
import os
import random
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.derive import Derived, derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, Response
from harness.demo.model_server import MODEL, ModelServer
from harness.load.apis import FIXED_LENGTH, Server
from harness.load.place import place_of
from harness.load.plan import Call
from harness.load.prompts import Length, Maker, Shape, synthesised
from harness.load.target import Found, Key, Target, key_of
from harness.load.tokens import estimate
from harness.load.words import Api, Prefix

if TYPE_CHECKING:
    from tests.plugins.wire import Upstream

ON_LLAMA_CPP = [Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.ANTHROPIC]
STREAM = "Content-Type: text/event-stream"
SECRET = "TOP-SECRET"
CALL = Call(path="/v1/chat/completions", body=json.dumps({"stream": True, "messages": [SECRET]}))
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'


@pytest.fixture
def upstream(upstream: "Upstream") -> "Upstream":
    """The upstream as if it were new."""
    upstream.scripts.clear()
    upstream.requests.clear()
    upstream.gone.clear()
    return upstream


def target(url: str, **options: Any) -> Target:
    return Target(place_of(url), **options)


def answer(made: Target, call: Call) -> Derived:
    """The whole answer to a call, derived."""
    connection = made.opened()
    response = made.send(connection, call.method, call.path, call.body.encode(), call.headers)
    request = Request(call.method, f"http://h{call.path}", call.headers, call.body.encode())
    data = response.read()
    connection.close()
    return derive(
        Exchange(request, Response(response.status, tuple(response.getheaders()), 0, ((0, data),), 0))
    )


def prompt_tokens(derived: Derived) -> int:
    """What the prompt had in all: Anthropic counts what came from the cache apart."""
    cached = (derived.usage.cached or 0) if derived.dialect == "anthropic.messages" else 0
    return (derived.usage.input or 0) + cached


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/"])
def test_the_model_server_is_known_with_its_model(model_server: ModelServer, prefix: str) -> None:
    assert target(model_server.url + prefix).examine() == Found((MODEL,), Server.LLAMA_CPP)


@pytest.mark.parametrize("api", ON_LLAMA_CPP)
def test_made_up_lengths_are_those_that_the_server_counts(model_server: ModelServer, api: Api) -> None:
    made = target(model_server.url)
    measure = made.measure(Server.LLAMA_CPP, api, MODEL)
    assert measure.exact
    maker = Maker(made.place, api, MODEL, Server.LLAMA_CPP)
    shape = Shape(Length(150, 30), Length(60, 15), prefix=70)
    calls = synthesised(maker, measure, shape, 6, seed=8)
    assert len({call.tokens_in for call in calls}) > 2
    for call in calls:
        made.try_out(call)
        derived = answer(made, call)
        assert derived.stream
        assert derived.terminated
        assert prompt_tokens(derived) == call.tokens_in
        wanted = call.most_tokens_out or 0
        is_fixed = (Server.LLAMA_CPP, api) in FIXED_LENGTH
        assert derived.usage.output == wanted if is_fixed else 0 < (derived.usage.output or 0) <= wanted


@pytest.mark.parametrize(("cache", "hits"), [(Prefix.HIT, True), (Prefix.MISS, False)])
def test_prefixes_hit_and_miss_the_cache_of_the_server(
    model_server: ModelServer, cache: Prefix, hits: bool
) -> None:
    made = target(model_server.url)
    measure = made.measure(Server.LLAMA_CPP, Api.COMPLETIONS, MODEL)
    maker = Maker(made.place, Api.COMPLETIONS, MODEL, Server.LLAMA_CPP)
    seed = random.randrange(2**31)
    calls = synthesised(maker, measure, Shape(Length(300), Length(2), 250, cache), 6, seed)
    cached = [answer(made, call).usage.cached or 0 for call in calls]
    assert [count >= 250 for count in cached[1:]] == [hits] * 5
    assert hits or max(cached) <= measure.base + 3


def test_a_server_that_does_not_count_gives_estimates(upstream: "Upstream") -> None:
    for server in Server:
        assert target(upstream.url).measure(server, Api.CHAT, "m") == estimate(Api.CHAT)
    asked = {received.path for received in upstream.requests}
    assert asked == {"/apply-template", "/tokenize"}


@pytest.mark.parametrize(("api", "name"), [(Api.CHAT, "messages"), (Api.COMPLETIONS, "prompt")])
def test_vllm_counts_prompts_and_messages(upstream: "Upstream", api: Api, name: str) -> None:
    said = b'{"count": 4, "max_model_len": 9, "tokens": [1, 2, 3, 4]}'
    upstream.on("/tokenize", upstream.head(200, f"Content-Length: {len(said)}") + said)
    assert not target(upstream.url).measure(Server.VLLM, api, "m").exact  # all texts of 4 tokens: no measure
    asked = json.loads(upstream.requests[0].body)
    assert asked.keys() == {"model", name}


@pytest.mark.parametrize(
    ("value", "headers", "found"),
    [
        ({"data": [{"id": "a", "owned_by": "vllm"}]}, [], Found(("a",), Server.VLLM)),
        ({"data": [{"id": "a", "owned_by": "sglang"}]}, [], Found(("a",), Server.SGLANG)),
        ({"data": [{"id": "a", "owned_by": "library"}]}, [], Found(("a",), Server.OLLAMA)),
        ({"data": [{"id": "a"}, {"id": "b"}, {"no": 1}]}, ["Server: x"], Found(("a", "b"))),
        ({"data": "x"}, ["Server: llama.cpp"], Found((), Server.LLAMA_CPP)),
        (["x"], [], Found()),
    ],
)
def test_servers_are_known_by_their_signs(
    upstream: "Upstream", value: Any, headers: list[str], found: Found
) -> None:
    body = json.dumps(value).encode()
    upstream.on("/v1/models", upstream.head(200, f"Content-Length: {len(body)}", *headers) + body)
    assert target(upstream.url).examine() == found


def test_a_target_that_wants_a_key(upstream: "Upstream") -> None:
    upstream.on("/v1/models", upstream.head(401, "Content-Length: 0"))
    with pytest.raises(BadInput, match=r"refuses GET /v1/models: 401: set the API key in the environment"):
        target(upstream.url).examine()


def test_a_list_of_models_that_is_none(upstream: "Upstream") -> None:
    upstream.on("/v1/models", upstream.head(200, "Content-Length: 4") + b"<ok>")
    assert target(upstream.url).examine() == Found()


def test_a_target_without_models_is_unknown(upstream: "Upstream") -> None:
    assert target(upstream.url).examine() == Found()


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Found(), "--model is missing: the target does not say which models it has"),
        (Found(("a", "b")), "--model is missing: the target has 2: a, b"),
        (Found(tuple("abcdefg")), "--model is missing: the target has 7: a, b, c, d, e and 2 more"),
    ],
)
def test_a_model_is_not_guessed(found: Found, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        found.model()
    assert str(caught.value) == says


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ([STREAM], DELTA),
        (["Content-Type: application/x-ndjson"], b'{"message":{"content":"Hi"},"done":false}\n'),
    ],
)
def test_a_stream_is_left_at_its_first_content(upstream: "Upstream", headers: list[str], data: bytes) -> None:
    path = "/api/chat" if b"done" in data else CALL.path
    upstream.on(path, upstream.head(200, *headers) + upstream.chunk(data), upstream.HOLD)
    target(upstream.url).try_out(CALL.model_copy(update={"path": path}))
    assert upstream.gone.wait(10)


def test_keys_are_sent_as_the_api_wants_them_and_bodies_as_they_are(upstream: "Upstream") -> None:
    upstream.on(CALL.path, upstream.head(200, STREAM) + upstream.chunk(DELTA) + upstream.LAST)
    environ = {"MY_KEY": " sk-1\n"}
    for kind in ("authorization", "x-api-key"):
        target(upstream.url, key=Key("MY_KEY", kind), environ=environ).try_out(CALL)
    heads = [received.head.decode().lower() for received in upstream.requests]
    assert "authorization: bearer sk-1\r\n" in heads[0] + "\r\n"
    assert "x-api-key: sk-1\r\n" in heads[1] + "\r\n"
    assert "accept-encoding: identity" in heads[0]
    assert upstream.requests[0].body.decode() == CALL.body


ERROR = {"error": {"message": SECRET, "type": "invalid_request_error", "code": "model_not_found"}}
REFUSALS = [
    (404, ERROR, "POST /v1/chat/completions: 404 invalid_request_error/model_not_found: are path, --api and"),
    (
        401,
        ERROR,
        "401 invalid_request_error/model_not_found: set the API key in the environment, or name its",
    ),
    (500, {"detail": SECRET}, r"POST /v1/chat/completions: 500"),
    (503, None, r"POST /v1/chat/completions: 503"),
    (302, None, "the target does not answer the first request: POST /v1/chat/completions: 302"),
    (200, ERROR, "answers the first request with an error: POST /v1/chat/completions: invalid_request_error"),
    (200, {"choices": [{"message": {"content": SECRET}}]}, "asked for a stream and got application/json"),
]


@pytest.mark.parametrize(("status", "value", "says"), REFUSALS)
def test_what_a_run_would_count_as_a_failure(
    upstream: "Upstream", status: int, value: Any, says: str
) -> None:
    body = b"" if value is None else json.dumps(value).encode()
    kind = "Content-Type: application/json"
    upstream.on(CALL.path, upstream.head(status, kind, f"Content-Length: {len(body)}") + body)
    with pytest.raises(BadInput, match=says) as caught:
        target(upstream.url).try_out(CALL)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"SSH-2.0\r\n", "answers, but not with HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\ndata", "broke its answer off"),
    ],
)
def test_a_first_request_that_breaks_off(upstream: "Upstream", said: bytes, says: str) -> None:
    upstream.on(CALL.path, said, upstream.CLOSE)
    with pytest.raises(BadInput, match=says):
        target(upstream.url).try_out(CALL)


def test_a_request_without_a_stream_needs_none(upstream: "Upstream") -> None:
    body = b'{"choices": []}'
    upstream.on(CALL.path, upstream.head(200, f"Content-Length: {len(body)}") + body)
    target(upstream.url).try_out(CALL.model_copy(update={"stream": False}))


def test_an_error_in_a_stream(upstream: "Upstream") -> None:
    data = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n'
    upstream.on(CALL.path, upstream.head(200, STREAM) + upstream.chunk(data) + upstream.LAST)
    with pytest.raises(BadInput, match=r"with an error: POST .*: overloaded_error"):
        target(upstream.url).try_out(CALL)


def test_a_real_refusal(model_server: ModelServer) -> None:
    call = CALL.model_copy(update={"body": json.dumps({"messages": SECRET})})
    with pytest.raises(
        BadInput, match=r"refuses the first request: .*: 400 .*invalid_request_error"
    ) as caught:
        target(model_server.url).try_out(call)
    assert SECRET not in str(caught.value)


def test_an_answer_that_does_not_come(upstream: "Upstream") -> None:
    upstream.on(CALL.path, upstream.HOLD)
    with pytest.raises(BadInput, match=r"did not answer POST /v1/chat/completions within 0.2 s"):
        target(upstream.url).try_out(CALL, answer_s=0.2)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        BadInput, match=rf"^--target http://127.0.0.1:{port}: nothing listens at 127.0.0.1:{port}"
    ):
        target(f"http://127.0.0.1:{port}").reach()


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(BadInput, match=r"the name nowhere.invalid cannot be resolved"):
        target("http://nowhere.invalid").reach()


def test_a_port_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse_tls, args=(listener,))
        thread.start()
        with pytest.raises(BadInput, match="it does not speak TLS: is it an http"):
            target(f"https://127.0.0.1:{listener.getsockname()[1]}").reach()
        thread.join()


def refuse_tls(listener: socket.socket) -> None:
    """What plain HTTP servers say to a TLS handshake."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("CLOSE", "closed the connection without an answer"),
        ("RESET", "closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "answers, but not with HTTP"),
    ],
)
def test_what_is_no_http_server(upstream: "Upstream", step: Any, says: str) -> None:
    upstream.on("/v1/models", getattr(upstream, step) if isinstance(step, str) else step)
    with pytest.raises(BadInput, match=says):
        target(upstream.url).examine()


def test_certificates_are_checked(tmp_path: Path, require_tool: Any) -> None:
    openssl, key, certificate = require_tool("openssl"), tmp_path / "key.pem", tmp_path / "cert.pem"
    names = "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = f"-keyout {key} -out {certificate}"
    os.system(f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 {names} {files} 2>/dev/null")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=handshakes, args=(listener, context))
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(
            BadInput, match=r"its certificate is not trusted \(.+\): name its authority with --ca"
        ):
            target(url).reach()
        target(url, ca_file=certificate).reach()
        thread.join()


def handshakes(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Two connections, of which the first client trusts nothing."""
    for _ in range(2):
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(1)
        except OSError:
            connection.close()


def test_files_of_authorities(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    for path, says in (
        (tmp_path / "none", "cannot be read: No such file"),
        (tmp_path / "a.pem", "holds no cert"),
    ):
        with pytest.raises(BadInput, match=says):
            target("https://h", ca_file=path)


OPENAI, ANTHROPIC, OTHER, LOCAL = (
    place_of(f"https://{host}")
    for host in ("api.openai.com", "api.anthropic.com", "openrouter.ai", "127.0.0.1")
)
KEYS = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "MINE": "c", "EMPTY": " "}


@pytest.mark.parametrize(
    ("place", "api", "private", "variable", "key"),
    [
        (OPENAI, Api.CHAT, False, None, Key("OPENAI_API_KEY")),
        (ANTHROPIC, Api.ANTHROPIC, False, None, Key("ANTHROPIC_API_KEY", "x-api-key")),
        (LOCAL, Api.CHAT, True, None, Key("OPENAI_API_KEY")),
        (LOCAL, Api.OLLAMA, True, None, Key()),
        (OTHER, Api.CHAT, False, None, Key()),
        (OTHER, Api.CHAT, False, "MINE", Key("MINE")),
        (ANTHROPIC, Api.CHAT, False, None, Key()),
    ],
)
def test_no_key_travels_to_another_provider(
    place: Any, api: Api, private: bool, variable: str | None, key: Key
) -> None:
    assert key_of(place, api, private=private, variable=variable, environ=KEYS) == key
    assert key_of(place, api, private=private, variable=None, environ={}).variable is None


@pytest.mark.parametrize("variable", ["NONE", "EMPTY"])
def test_a_key_that_is_not_there(variable: str) -> None:
    with pytest.raises(BadInput, match=f"--key-variable {variable}: the environment has no such variable"):
        key_of(OTHER, Api.CHAT, private=False, variable=variable, environ=KEYS)


def test_a_key_that_no_header_can_hold() -> None:
    with pytest.raises(BadInput, match=r"^\$K is no API key: it holds characters that no header can$"):
        target("http://h", key=Key("K"), environ={"K": "sk\n1"})
