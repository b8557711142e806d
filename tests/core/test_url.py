"""URLs taken apart, and made plain."""

import pytest

from harness.core.url import Origin, authority_of, origin, plain_url


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://api.openai.com/v1", Origin("https", "api.openai.com", None)),
        ("HTTP://127.0.0.1:80", Origin("http", "127.0.0.1", 80)),
        ("http://[::1]:8080/x?y", Origin("http", "::1", 8080)),
        ("http://user:secret@host/", Origin("http", "host", None)),
    ],
)
def test_where_a_url_points_to(url: str, parts: Origin) -> None:
    assert origin(url) == parts


NO_URLS = ["", "host", "/v1", "ftp://host/", "http://", "http:///v1", "http://:80/", "http://h:x/"]


@pytest.mark.parametrize("url", [*NO_URLS, "http://h:65536/", "http://[::1/", "http://h/a b"])
def test_what_is_no_absolute_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"^is no ") as refused:
        origin(url)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("/v1/é?q=😀", "/v1/é?q=😀"), ("/\udcff\udc80", "/%FF%80"), ("\ud83d", "\ufffd")],
)
def test_surrogates_leave_nothing_that_utf8_cannot_hold(text: str, plain: str) -> None:
    assert plain_url(text) == plain


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority"),
    [
        ("https", "api.openai.com", 443, "api.openai.com"),
        ("http", "api.openai.com", 443, "api.openai.com:443"),
        ("http", "::1", 80, "[::1]"),
        ("http", "::1", 8080, "[::1]:8080"),
    ],
)
def test_a_host_header_leaves_the_schemes_own_port_out(
    scheme: str, host: str, port: int, authority: str
) -> None:
    assert authority_of(scheme, host, port) == authority
