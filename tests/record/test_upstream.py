import pytest

from harness.core.errors import BadInput
from harness.record.upstream import Upstream, parse, parse_all


@pytest.mark.parametrize(
    ("text", "upstream", "url"),
    [
        ("https://api.openai.com", ("openai", "https", "api.openai.com", 443, ""), "https://api.openai.com"),
        ("https://API.OPENAI.com/", ("openai", "https", "api.openai.com", 443, ""), "https://api.openai.com"),
        ("https://api.anthropic.com:8443", ("anthropic", "https", "api.anthropic.com", 8443, ""), None),
        ("https://x.openai.azure.com", ("azure", "https", "x.openai.azure.com", 443, ""), None),
        ("http://127.0.0.1:8000", ("default", "http", "127.0.0.1", 8000, ""), "http://127.0.0.1:8000"),
        ("http://[::1]:8000/v1/", ("default", "http", "::1", 8000, "/v1"), "http://[::1]:8000/v1"),
        ("or=https://openrouter.ai/api", ("or", "https", "openrouter.ai", 443, "/api"), None),
        ("openai=http://localhost", ("openai", "http", "localhost", 80, ""), "http://localhost"),
        ("my-vllm_2=http://h:1/a=b", ("my-vllm_2", "http", "h", 1, "/a=b"), None),
        ("http://h/a=b", ("default", "http", "h", 80, "/a=b"), None),
    ],
)
def test_parse(text: str, upstream: tuple[str, str, str, int, str], url: str | None) -> None:
    parsed = parse(text)
    assert parsed == Upstream(*upstream)
    assert url is None or parsed.url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.openai.com",
        "openai",
        "ftp://api.openai.com",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://127.0.0.1:",
        "a=https://[::1]:/v1",
        "http://host/?key=abc",
        "http://host/#x",
        "http://user:pass@host",
        "http://ho st",
        "=http://host",
        "a b=http://host",
        "1=http://host",
        "openai=",
        "openai=api.openai.com",
    ],
)
def test_what_is_no_upstream(text: str) -> None:
    with pytest.raises(BadInput, match=r"--upstream") as caught:
        parse(text)
    assert "\n" not in str(caught.value)
    assert not {"abc", "pass"} & set(str(caught.value).replace("=", " ").replace(":", " ").split())


@pytest.mark.parametrize(
    ("url", "asked", "path"),
    [
        ("http://h", "/v1/x", "/v1/x"),
        ("http://h/api", "/v1/x?a=/v1", "/api/v1/x?a=/v1"),
        ("http://h/v1", "/v1/x", "/v1/x"),
        ("http://h/v1", "/x", "/v1/x"),
        ("http://h/api/v1", "/v1/x", "/api/v1/x"),
        ("http://h/v1beta", "/v1beta/models", "/v1beta/models"),
        ("http://h/v1", "/v1x", "/v1/v1x"),
        ("http://h/v1/api", "/v1/x", "/v1/api/v1/x"),
    ],
)
def test_the_path_for_the_upstream(url: str, asked: str, path: str) -> None:
    assert parse(url).path(asked) == path


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        (["http://a", "http://b"], "two upstreams are called 'default'"),
        (["a=http://a", "A=http://b"], "two upstreams are called 'A'"),
        (["https://api.openai.com", "openai=http://b"], "two upstreams are called 'openai'"),
    ],
)
def test_upstreams_have_names_of_their_own(texts: list[str], match: str) -> None:
    with pytest.raises(BadInput, match=match):
        parse_all(texts)


def test_parse_all_keeps_the_order() -> None:
    names = [upstream.name for upstream in parse_all(["b=http://b", "https://api.openai.com", "http://a"])]
    assert names == ["b", "openai", "default"]
