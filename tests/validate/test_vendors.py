import gzip
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from harness.core.exchange import Exchange, Request, Response
from harness.validate.catalog import Catalog

CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null%s}]%s}\n\n'

GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


def exchange(url: str, body: bytes = b"{}", headers: Mapping[str, str] = MappingProxyType({})) -> Exchange:
    return Exchange(Request("POST", url), Response(200, tuple(headers.items()), 0, ((0, body),), 0))


@pytest.mark.parametrize(
    ("host", "overlay"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("api.openai.com.evil.test", "compatible"),
        ("notapi.openai.com", "compatible"),
        ("my-resource.openai.azure.com", "azure"),
        ("my-resource.cognitiveservices.azure.com", "azure"),
        ("api.anthropic.com", "anthropic"),
        ("openrouter.ai", "compatible"),
        ("127.0.0.1:8080", "compatible"),
    ],
)
def test_by_host(catalog: Catalog, host: str, overlay: str) -> None:
    assert catalog.overlay_for(exchange(f"https://{host}/v1/chat/completions")) == overlay


@pytest.mark.parametrize(
    ("headers", "overlay"),
    [
        ({"Server": "llama.cpp"}, "llama.cpp"),
        ({"Server": "uvicorn"}, "compatible"),
        ({"OpenAI-Version": "2020-10-01"}, "openai"),
        ({"openai-processing-ms": "12", "apim-request-id": "1"}, "azure"),
        ({"openai-version": "2020-10-01", "x-ms-region": "East US"}, "azure"),
        ({"anthropic-organization-id": "1"}, "anthropic"),
    ],
)
def test_by_headers_behind_a_gateway(catalog: Catalog, headers: dict[str, str], overlay: str) -> None:
    assert (
        catalog.overlay_for(exchange("http://gateway.test/v1/chat/completions", headers=headers)) == overlay
    )


@pytest.mark.parametrize(
    ("body", "overlay"),
    [
        (CHUNK % (b"", b""), "compatible"),
        (CHUNK % (b"", b',"timings":{"prompt_n":1}'), "llama.cpp"),
        (CHUNK % (b"", b',"system_fingerprint":"b6510-abc"'), "llama.cpp"),
        (CHUNK % (b"", b',"system_fingerprint":"fp_44709d6fcb"'), "compatible"),
        (CHUNK % (b',"stop_reason":null', b""), "vllm"),
        (CHUNK % (b"", b',"kv_transfer_params":null'), "vllm"),
        (CHUNK % (b"", b',"prompt_filter_results":[]'), "azure"),
        (CHUNK % (b',"content_filter_results":{}', b""), "azure"),
        (b'{"content":"say \\"timings\\": {} and \\"prompt_logprobs\\":"}', "compatible"),
        (b'{"type":"message","stop_reason":null,"usage":{}}', "compatible"),
    ],
)
def test_by_what_the_body_shows(catalog: Catalog, body: bytes, overlay: str) -> None:
    url = "http://127.0.0.1:8000/v1/chat/completions"
    assert catalog.overlay_for(exchange(url, body)) == overlay
    assert catalog.overlay_for(exchange(url, gzip.compress(body), GZIP)) == overlay
    long = CHUNK % (b"", b"") * 1000
    assert catalog.overlay_for(exchange(url, long + body)) == overlay


def test_the_host_comes_before_what_the_body_shows(catalog: Catalog) -> None:
    shown = exchange("https://api.openai.com/v1/responses", b'{"timings":{}}', {"Server": "llama.cpp"})
    assert catalog.overlay_for(shown) == "openai"


@pytest.mark.parametrize(
    "odd",
    [
        Exchange(Request("POST", "https://down.test/v1/responses"), None),
        exchange("/v1/chat/completions"),
        exchange("https://[broken/v1"),
        exchange("http://gateway.test/v1", b"\x00\xff", GZIP),
    ],
)
def test_who_shows_nothing_is_compatible(catalog: Catalog, odd: Exchange) -> None:
    assert catalog.overlay_for(odd) == "compatible"
