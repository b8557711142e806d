import pytest

from harness.core.hosts import PROVIDERS, Hosts, provider_of


@pytest.mark.parametrize(
    ("text", "fits", "not_fits"),
    [
        (
            "api.a.test",
            [("api.a.test", 443), ("API.A.TEST", 80)],
            [("x.api.a.test", 443), ("apiXa.test", 443)],
        ),
        ("*.a.test", [("x.a.test", 443), ("x.y.a.test", 1)], [("a.test", 443), ("xa.test", 443)]),
        ("A.test:8443", [("a.test", 8443)], [("a.test", 443)]),
        ("*", [("a.test", 443), ("::1", 1)], []),
        ("*:443", [("a.test", 443)], [("a.test", 80)]),
        ("::1", [("::1", 443)], [("::2", 443)]),
        ("[::1]:8080", [("::1", 8080)], [("::1", 443)]),
    ],
)
def test_hosts_as_people_write_them(
    text: str, fits: list[tuple[str, int]], not_fits: list[tuple[str, int]]
) -> None:
    hosts = Hosts.parse(text)
    assert [place for place in fits if not hosts.fit(*place)] == []
    assert [place for place in not_fits if hosts.fit(*place)] == []
    assert Hosts.parse(str(hosts)) == hosts


@pytest.mark.parametrize(
    "text", ["", "https://a.test", "a.test/v1", "a test", "a@b", "a.test:", "a.test:65536", "a,b", "a?b"]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no host|has no port"):
        Hosts.parse(text)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("us-central1-aiplatform.googleapis.com", "vertex"),
        ("API.ANTHROPIC.COM", "anthropic"),
        ("api.openai.com.evil.test", None),
        ("myapi.openai.com", None),
        ("openai.com", None),
    ],
)
def test_providers(host: str, name: str | None) -> None:
    assert provider_of(host) == name


def test_no_provider_s_pattern_takes_in_a_whole_domain_of_others() -> None:
    assert [pattern for pattern in PROVIDERS if len(pattern.replace("*", "").strip(".").split(".")) < 2] == []
