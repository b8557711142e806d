"""What a client is told to find us and to trust us, and what it is not told."""

import sys
from pathlib import Path

import pytest

from harness.cli import app
from harness.cli.proxy_mode import BUNDLES, WayIn, way_in
from harness.core.errors import MissingExtra

RECORDING = "recordings/tiny-llama.db"
URL = "http://127.0.0.1:8080"


@pytest.fixture
def way(tmp_path: Path) -> WayIn:
    return way_in("harness record", ["*.corp", "10.0.0.1:8000"], tmp_path / "ca", ["gw.test"])


def test_the_variables_of_a_client(way: WayIn) -> None:
    found = way.variables(URL, {})
    ca = way.authority
    assert {name: found.pop(name) for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")} == (
        dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), URL)
    )
    assert found.pop("NODE_EXTRA_CA_CERTS") == str(ca.certificate_file)
    assert found.pop("NODE_USE_ENV_PROXY") == "1"
    assert found.pop("NO_PROXY") == found.pop("no_proxy") == "127.0.0.1,localhost,::1"
    assert found == dict.fromkeys(BUNDLES, str(ca.bundle()))


def test_what_the_user_trusts_is_trusted_on(way: WayIn, tmp_path: Path) -> None:
    own = way_in("harness record", None, tmp_path / "own", []).authority.certificate_file
    found = way.variables(URL, {"REQUESTS_CA_BUNDLE": str(own), "NODE_EXTRA_CA_CERTS": str(own)})
    assert found["REQUESTS_CA_BUNDLE"] == str(way.authority.bundle(str(own)))
    assert own.read_text().strip() in Path(found["NODE_EXTRA_CA_CERTS"]).read_text()
    assert found["SSL_CERT_FILE"] == str(way.authority.bundle())


@pytest.mark.parametrize(
    ("entry", "stays"),
    [
        ("intra.example", True),
        ("10.0.0.2", True),
        ("corpse.example", True),
        ("x.corp", False),
        (".corp", False),
        ("10.0.0.1", False),
        ("10.0.0.1:8000", False),
        ("gw.test", False),
        ("GW.test", False),
        ("api.openai.com", False),
        ("*", False),
    ],
)
def test_hosts_that_are_recorded_are_never_reached_past_us(way: WayIn, entry: str, stays: bool) -> None:
    listed = way.direct(f"first.example,{entry}").split(",")
    assert (entry in listed) is stays
    assert listed[0] == "first.example"
    assert listed[-1] == "::1"


def test_loopback_goes_through_us_where_it_is_asked_for(tmp_path: Path) -> None:
    way = way_in("harness record", ["127.0.0.1:11434"], tmp_path, ["localhost"])
    assert way.direct("") == "::1"


def test_recordings_without_plain_http_leave_plain_http_alone(tmp_path: Path) -> None:
    found = way_in("harness replay", None, tmp_path, [], plain=False).variables(URL, {})
    assert {name for name in found if name.lower().endswith("_proxy")} == {
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "NODE_USE_ENV_PROXY",
    }


def test_lines_for_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_EXTRA_CA_CERTS", raising=False)
    way = way_in("harness record", None, tmp_path / "a folder", [])
    lines = list(way.exports(URL))
    assert f"export HTTPS_PROXY={URL}" in lines
    assert f"export NODE_EXTRA_CA_CERTS='{way.authority.certificate_file}'" in lines


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtra, match=r"--mode proxy needs .*: pip install 'traffic-harness\[proxy\]'$"):
        way_in("harness replay", None, None, [])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--mode", "proxy", "--allow-host", "https://a.test"), "--allow-host 'https://a.test' is no host"),
        (("--mode", "proxy", "--allow-host", "a.test:99999"), "has no port that could be"),
        (("--mode", "proxy", "--ca-dir", "pyproject.toml/ca"), "--ca-dir pyproject.toml/ca: Not a directory"),
        (("--allow-host", "a.test"), "--allow-host needs --mode proxy"),
        (("--ca-dir", "x"), "--ca-dir needs --mode proxy"),
        (("--mode", "socks"), "'socks'"),
    ],
)
@pytest.mark.parametrize("command", [("record",), ("replay", RECORDING)], ids=["record", "replay"])
def test_bad_arguments(
    command: tuple[str, ...], arguments: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.main([*command, *arguments]) == 2
    output = capsys.readouterr()
    assert error in output.err
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("missing.pem", "No such file"),
        ("README.md", "no certificates"),
        ("docs", "Is a directory"),
    ],
)
def test_no_certificates(name: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["record", "--upstream", "https://a.test", "--upstream-ca", name]) == 2
    assert f"--upstream-ca {name}: " in (said := capsys.readouterr().err)
    assert error in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("--upstream", "https://a.test"),
        ("--mode", "proxy"),
        ("--upstream", "http://a.test", "--mode", "proxy"),
    ],
)
def test_a_list_of_certificates_that_is_none(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything is started: with it no upstream could be verified."""
    folder = ("--ca-dir", str(tmp_path / "ca")) if "--mode" in arguments else ()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert app.main(["record", *arguments, *folder]) == 2
    assert capsys.readouterr().err.endswith(f"SSL_CERT_FILE {tmp_path}/none.pem: No such file or directory\n")
