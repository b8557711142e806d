import pytest

from harness.core.hosts import Hosts
from harness.record.origins import Origins
from harness.record.upstream import parse

UPSTREAMS = [
    parse("mine=https://gw.test/a"),
    parse("theirs=https://gw.test/a/b"),
    parse("local=http://l.test:8080"),
]


@pytest.fixture
def origins() -> Origins:
    return Origins(UPSTREAMS, [Hosts.parse("*.corp"), Hosts.parse("10.0.0.1:8000")])


@pytest.mark.parametrize(
    ("host", "port", "recorded"),
    [
        ("api.openai.com", 443, True),
        ("gw.test", 443, True),
        ("GW.test", 443, True),
        ("gw.test", 8443, False),
        ("l.test", 8080, True),
        ("x.corp", 1, True),
        ("10.0.0.1", 8000, True),
        ("10.0.0.1", 8001, False),
        ("pypi.org", 443, False),
    ],
)
def test_what_is_recorded(origins: Origins, host: str, port: int, recorded: bool) -> None:
    assert origins.records(host, port) is recorded


@pytest.mark.parametrize(
    ("origin", "path", "name"),
    [
        (("https", "gw.test", 443), "/a/v1", "mine"),
        (("https", "gw.test", 443), "/a/b/v1", "theirs"),
        (("https", "gw.test", 443), "/a/bc", "mine"),
        (("https", "gw.test", 443), "/other", "mine"),
        (("http", "l.test", 8080), "/", "local"),
        (("https", "api.openai.com", 443), "/v1/models", "openai"),
        (("https", "x.corp", 443), "/", "x-corp"),
        (("http", "10.0.0.1", 8000), "/", "host-10-0-0-1"),
    ],
)
def test_names(origins: Origins, origin: tuple[str, str, int], path: str, name: str) -> None:
    assert origins.name(*origin, path) == name


def test_a_second_origin_of_one_provider_has_a_name_of_its_own_and_keeps_it(origins: Origins) -> None:
    places = [("https", f"{name}.openai.azure.com", 443) for name in ("one", "two", "one", "two")]
    assert [origins.name(*place, "/") for place in places] == ["azure", "azure-2", "azure", "azure-2"]
    assert (
        Origins([parse("openai=http://l.test")], []).name("https", "api.openai.com", 443, "/") == "openai-2"
    )
