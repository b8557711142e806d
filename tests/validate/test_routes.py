from itertools import product

import pytest

from harness.core.dialects import recognise
from harness.core.exchange import Request
from harness.validate.catalog import Catalog

JSON = "application/json"
RESPONSES = ("openai/responses.response", "openai/responses.event")
TRANSCRIPTIONS = ("openai/transcriptions.response", "openai/transcriptions.event")
NOTHING = (None, None)
PREFIXES = ["", "/v1", "/api/v1", "/openai/v1", "/openai/deployments/my-model", "/gateway/v1beta"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/chat/completions", "openai.chat"),
        ("POST", "/chat/completions?api-version=2025-01-01", "openai.chat"),
        ("POST", "/chat/completions/", "openai.chat"),
        ("post", "/completions", "openai.completions"),
        ("POST", "/embeddings", "openai.embeddings"),
        ("POST", "/moderations", "openai.moderations"),
        ("POST", "/responses", "openai.responses"),
        ("GET", "/responses/resp_1", "openai.responses.stored"),
        ("POST", "/responses/resp_1/cancel", "openai.responses.cancel"),
        ("POST", "/images/generations", "openai.images.generations"),
        ("POST", "/images/edits", "openai.images.edits"),
        ("POST", "/audio/transcriptions", "openai.audio.transcriptions"),
        ("POST", "/audio/translations", "openai.audio.translations"),
        ("POST", "/audio/speech", "openai.audio.speech"),
        ("POST", "/tokenize", "local.tokenize"),
        ("POST", "/detokenize", "local.detokenize"),
        ("GET", "/health", "local.health"),
        ("GET", "/ping", "local.health"),
        ("POST", "/ping", "local.ping"),
    ],
)
def test_a_resource_under_any_prefix(
    catalog: Catalog, prefix: str, method: str, path: str, name: str
) -> None:
    route = catalog.route(method, prefix + path, 200, JSON)
    assert route is not None
    assert route.name == name


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/messages", "anthropic.messages"),
        ("POST", "/v1/messages?beta=true", "anthropic.messages"),
        ("POST", "/v1/messages/count_tokens", "anthropic.count_tokens"),
        ("GET", "/v1/models", "models"),
        ("GET", "/models?limit=20", "models"),
        ("GET", "/v1/models/org/model:1", "model"),
        ("GET", "/openai/models", "models"),
        ("POST", "/api/chat", "ollama.chat"),
        ("POST", "/api/generate", "ollama.generate"),
        ("POST", "/api/embed", "ollama.embed"),
        ("GET", "/api/tags", "ollama.tags"),
        ("GET", "/api/version", "local.version"),
        ("GET", "/version", "local.version"),
    ],
)
def test_a_resource_at_its_place(catalog: Catalog, method: str, path: str, name: str) -> None:
    route = catalog.route(method, path, 200, JSON)
    assert route is not None
    assert route.name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/organization/usage/completions"),
        ("POST", "/v1/organization/usage/completions"),
        ("GET", "/v1/organization/usage/embeddings"),
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/chat/completions/chatcmpl_1"),
        ("POST", "/v1/chat/completions/chatcmpl_1"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1/input_items"),
        ("GET", "/v1/responses"),
        ("POST", "/v1/threads/thread_1/messages"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/fine_tuning/models"),
        ("GET", "/v1/fine_tuning/models"),
        ("GET", "/my/health-report"),
        ("GET", "/unhealth"),
        ("POST", "/v1/mycompletions"),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("POST", "/"),
    ],
)
def test_a_neighbour_has_no_route(catalog: Catalog, method: str, path: str) -> None:
    assert catalog.route(method, path, 200, JSON) is None


def test_dialects_are_those_that_recordings_are_derived_with(catalog: Catalog) -> None:
    resources = [
        ("POST", "/chat/completions"),
        ("POST", "/completions"),
        ("POST", "/embeddings"),
        ("POST", "/responses"),
        ("GET", "/responses/resp_1"),
        ("POST", "/messages"),
        ("POST", "/api/chat"),
        ("POST", "/api/generate"),
        ("POST", "/organization/usage/completions"),
    ]
    for prefix, (method, path) in product(PREFIXES, resources):
        route = catalog.route(method, prefix + path, 200, JSON)
        request = Request(method, f"https://api.test{prefix}{path}")
        assert (route.dialect if route else "bytes") == recognise(request).name, prefix + path


@pytest.mark.parametrize(
    ("path", "status", "content_type", "expected"),
    [
        ("/v1/responses", 200, JSON, RESPONSES),
        ("/v1/responses", 202, "text/event-stream", RESPONSES),
        ("/v1/responses", 200, None, RESPONSES),
        ("/v1/responses", 404, JSON, NOTHING),
        ("/v1/responses", 302, JSON, NOTHING),
        ("/v1/responses", None, None, NOTHING),
        ("/v1/audio/transcriptions", 200, "application/json; charset=utf-8", TRANSCRIPTIONS),
        ("/v1/audio/transcriptions", 200, "text/plain; charset=utf-8", NOTHING),
        ("/v1/audio/transcriptions", 200, "TEXT/VTT", NOTHING),
        ("/v1/audio/speech", 200, "audio/mpeg", (None, "openai/speech.event")),
        ("/ping", 200, None, NOTHING),
        ("/ping", 200, JSON, ("local/health.response", None)),
    ],
)
def test_what_an_answer_is_checked_with(
    catalog: Catalog,
    path: str,
    status: int | None,
    content_type: str | None,
    expected: tuple[str | None, str | None],
) -> None:
    route = catalog.route("POST", path, status, content_type)
    assert route is not None
    assert (route.response, route.event) == expected
    assert route.error == "errors"


def test_events_with_a_type_are_dispatched_by_it(catalog: Catalog) -> None:
    dispatched = {
        path: route.dispatch
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages")
        if (route := catalog.route("POST", path, 200, JSON))
    }
    assert dispatched == {"/v1/chat/completions": None, "/v1/responses": "type", "/v1/messages": "type"}
