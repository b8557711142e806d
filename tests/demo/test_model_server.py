import json
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection
from typing import Any

import pytest

from harness.core.errors import HarnessError
from harness.demo.model_server import MODEL, ModelServer

COMMAND = [sys.executable, "-m", "harness.demo.model_server"]
QUESTION = [{"role": "user", "content": "Who keeps the bytes?"}]
CITY = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Paris"]}}, "required": ["city"]}


def ask(server: ModelServer, path: str, **body: Any) -> tuple[int, Any]:
    """POST a JSON body, or GET where there is none; the status and the parsed answer."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_equal_requests_get_equal_readable_texts(model_server: ModelServer) -> None:
    body = {"messages": QUESTION, "max_tokens": 600, "temperature": 0, "cache_prompt": False}
    answers = [ask(model_server, "/v1/chat/completions", **body)[1] for _ in range(2)]
    first, second = (answer["choices"][0]["message"]["content"] for answer in answers)
    assert first == second
    assert answers[0]["usage"]["completion_tokens"] == 600
    assert len(first.split()) > 400
    assert first.isprintable()


def test_a_schema_gives_structured_output(model_server: ModelServer) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY}}
    _, answer = ask(
        model_server, "/v1/chat/completions", messages=QUESTION, response_format=schema, max_tokens=64
    )
    assert json.loads(answer["choices"][0]["message"]["content"])["city"] in {"Oslo", "Paris"}


def test_the_model_calls_a_tool_and_writes_once_it_has_the_answer(model_server: ModelServer) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
    options: dict[str, Any] = {"tools": tools, "max_tokens": 80, "temperature": 0}
    _, asked = ask(model_server, "/v1/chat/completions", messages=QUESTION, **options)
    message = asked["choices"][0]["message"]
    assert asked["choices"][0]["finish_reason"] == "tool_calls"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"])["city"] in {"Oslo", "Paris"}
    answer = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "rain"}
    _, told = ask(model_server, "/v1/chat/completions", messages=[*QUESTION, message, answer], **options)
    assert told["choices"][0]["message"]["content"]
    assert "tool_calls" not in told["choices"][0]["message"]


def test_words_are_tokens_and_the_way_back_gives_the_text(model_server: ModelServer) -> None:
    text = " The recorder keeps every chunk."
    _, tokens = ask(model_server, "/tokenize", content=text)
    assert len(tokens["tokens"]) == 6
    assert ask(model_server, "/detokenize", **tokens) == (200, {"content": text})


def test_embeddings_are_unit_vectors_beside_generation(model_server: ModelServer) -> None:
    status, answer = ask(model_server, "/v1/embeddings", input=["the clock", "the wire"], model=MODEL)
    lengths = [sum(number**2 for number in row["embedding"]) for row in answer["data"]]
    assert status == 200
    assert lengths == pytest.approx([1, 1], abs=1e-4)


def test_a_bad_request_gets_a_real_error(model_server: ModelServer) -> None:
    status, answer = ask(model_server, "/v1/chat/completions", messages="no list")
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_taken_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HarnessError, match=f"cannot listen on 127.0.0.1:{port}"), ModelServer(port=port):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline().startswith("listening on http://127.0.0.1:")
            server.send_signal(number)
            assert server.wait(30) == 0
        finally:
            server.kill()


def test_it_ends_with_its_parent_while_a_stream_is_open() -> None:
    with ModelServer() as server:
        connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
        body = {"messages": QUESTION, "stream": True, "max_tokens": 4000}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        response = connection.getresponse()
        assert response.read(6) == b"data: "
    response.close()
    connection.close()
    assert server.child.returncode == 0
