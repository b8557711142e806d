import pytest

from harness.core.dialects import BYTES, DIALECTS, recognise
from harness.core.exchange import Request

PATHS = [
    ("POST", "/v1/chat/completions", "openai.chat"),
    ("post", "/v1/chat/completions/", "openai.chat"),
    ("POST", "/chat/completions", "openai.chat"),
    ("POST", "/api/v1/chat/completions?provider=x", "openai.chat"),
    ("POST", "/openai/v1/chat/completions", "openai.chat"),
    ("POST", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", "openai.chat"),
    ("POST", "/v1beta/openai/chat/completions", "openai.chat"),
    ("POST", "//v1/chat/completions", "openai.chat"),
    ("POST", "/v1/completions", "openai.completions"),
    ("POST", "/openai/deployments/d/completions", "openai.completions"),
    ("POST", "/v1/embeddings", "openai.embeddings"),
    ("POST", "/openai/deployments/d/embeddings", "openai.embeddings"),
    ("POST", "/v1/responses", "openai.responses"),
    ("POST", "/openai/responses?api-version=preview", "openai.responses"),
    ("POST", "/openai/v1/responses", "openai.responses"),
    ("GET", "/v1/responses/resp_1?stream=true", "openai.responses"),
    ("POST", "/v1/messages", "anthropic.messages"),
    ("POST", "/anthropic/v1/messages?beta=true", "anthropic.messages"),
    ("POST", "/api/chat", "ollama.chat"),
    ("POST", "/ollama/api/generate", "ollama.generate"),
    ("GET", "/v1/chat/completions", "bytes"),
    ("POST", "/v1/chat/completions/x", "bytes"),
    ("POST", "/v1/xchat/completions", "bytes"),
    ("GET", "/v1/organization/usage/completions", "bytes"),
    ("POST", "/v1/organization/usage/embeddings", "bytes"),
    ("POST", "/v1/threads/thread_1/messages", "bytes"),
    ("POST", "/v1/messages/count_tokens", "bytes"),
    ("POST", "/v1/messages/batches", "bytes"),
    ("GET", "/v1/models", "bytes"),
    ("POST", "/v1/audio/transcriptions", "bytes"),
    ("POST", "/api/embed", "bytes"),
    ("POST", "/tokenize", "bytes"),
    ("POST", "/v1/models?next=/v1/completions", "bytes"),
    ("POST", "/", "bytes"),
]


@pytest.mark.parametrize(("method", "path", "name"), PATHS)
def test_a_request_is_known_by_method_and_path(method: str, path: str, name: str) -> None:
    assert recognise(Request(method, f"https://api.test{path}")).name == name


def test_the_path_of_the_client_counts_where_the_upstreams_says_nothing() -> None:
    request = Request("POST", "https://gateway.test/llm", path="/v1/chat/completions")
    assert recognise(request).name == "openai.chat"


@pytest.mark.parametrize(("method", "path", "name"), PATHS)
def test_no_request_fits_two_rows(method: str, path: str, name: str) -> None:
    bare = path.partition("?")[0].rstrip("/")
    assert [row.name for row in DIALECTS if row.fits(method.upper(), bare)] == [name] * (name != "bytes")


def test_names_are_unique() -> None:
    names = [row.name for row in (*DIALECTS, BYTES)]
    assert len(set(names)) == len(names)
