import pytest

from harness.core.errors import BadInput
from harness.load.place import has_version, place_of


@pytest.mark.parametrize(
    ("text", "url", "path"),
    [
        ("http://h:1", "http://h:1", "/v1/responses"),
        ("http://h:1/", "http://h:1", "/v1/responses"),
        ("http://h:1/v1", "http://h:1", "/v1/responses"),
        ("http://h:1/v1/", "http://h:1", "/v1/responses"),
        ("http://h:80", "http://h", "/v1/responses"),
        ("https://[::1]:8443/v1", "https://[::1]:8443", "/v1/responses"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api", "/v1/responses"),
        ("https://openrouter.ai/api", "https://openrouter.ai/api", "/v1/responses"),
        ("https://h/paas/v4", "https://h/paas", "/v4/responses"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai", "/responses"),
    ],
)
def test_where_endpoints_are(text: str, url: str, path: str) -> None:
    place = place_of(text)
    assert (place.url, place.api_path("/responses")) == (url, path)


@pytest.mark.parametrize(
    ("text", "asked", "path"),
    [
        ("http://h:1/v1", "/v1/chat/completions?a=1", "/v1/chat/completions?a=1"),
        ("http://h:1", "/api/chat", "/api/chat"),
        ("https://h/paas/v4", "/v1/chat/completions", "/v4/chat/completions"),
        ("https://h/v1beta/openai", "/v1/chat/completions", "/chat/completions"),
        ("http://h", "/openai/deployments/x/chat/completions", "/openai/deployments/x/chat/completions"),
    ],
)
def test_recorded_paths_below_a_target(text: str, asked: str, path: str) -> None:
    assert place_of(text).path(asked) == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("127.0.0.1:8000", "is no absolute http or https URL"),
        ("", "is no absolute http or https URL"),
        ("ftp://h", "is no absolute http or https URL"),
        ("http://h:port", "malformed"),
        ("http://h/ a", "white space"),
        ("http://h/\u00e9", "other letters than ASCII"),
        ("http://h/\x01", "other letters than ASCII"),
        (f"http://{'a' * 64}/", "its host is malformed"),
        ("http://a..b/", "its host is malformed"),
        ("http://h/?key=SECRET", "a query: leave it away"),
        ("http://h/#SECRET", "a fragment: leave it away"),
        ("http://SECRET:SECRET@h/", "credentials: leave it away"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        place_of(text)
    assert "SECRET" not in str(caught.value)


def test_versions_inside_of_paths() -> None:
    assert has_version("/v1/chat")
    assert not has_version("/chat/completions")
