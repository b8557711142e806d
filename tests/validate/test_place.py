"""Places without what users, models or ids put into them."""

import pytest

from harness.validate.place import endpoint, general, host_of, shown

SENTENCE = "tell me, how are you"


@pytest.mark.parametrize(
    ("pointer", "expected", "exact"),
    [
        ("", "", ""),
        ("/choices/0/delta", "/choices/*/delta", "/choices/0/delta"),
        ("/x-groq/$defs/a.b", "/x-groq/$defs/a.b", "/x-groq/$defs/a.b"),
        (f"/metadata/{SENTENCE}", "/metadata/*", "/metadata/*"),
        ("/metadata/ключ/a~1b", "/metadata/*/*", "/metadata/*/*"),
        ("/logit_bias/50256", "/logit_bias/*", "/logit_bias/50256"),
        (f"/{'a' * 65}", "/*", "/*"),
        ("/0123456789012", "/*", "/*"),
    ],
)
def test_pointers(pointer: str, expected: str, exact: str) -> None:
    assert (general(pointer), shown(pointer)) == (expected, exact)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/chat/completions?x=1", "POST /v1/chat/completions"),
        ("post", "/api/v1beta2/x", "POST /api/v1beta2/x"),
        ("GET", "/v1/responses/resp_68b1/input_items", "GET /v1/responses/*/input_items"),
        ("GET", "/v1/models/abc", "GET /v1/models/*"),
        (
            "POST",
            "/openai/deployments/my-name/chat/completions",
            "POST /openai/deployments/*/chat/completions",
        ),
        ("GET", f"/search/{SENTENCE}", "GET /search/*"),
        ("GET", "/search/%20how", "GET /search/*"),
        ("GET", f"/{'a' * 41}", "GET /*"),
        (SENTENCE, "/", "* /"),
        ("GET", "", "GET "),
    ],
)
def test_endpoints(method: str, path: str, expected: str) -> None:
    assert endpoint(method, path) == expected


@pytest.mark.parametrize(
    ("url", "host"),
    [("http://A.test:8080/x", "a.test"), ("http://[::1]:1/", "::1"), ("http://[/", ""), ("nonsense", "")],
)
def test_hosts(url: str, host: str) -> None:
    assert host_of(url) == host
