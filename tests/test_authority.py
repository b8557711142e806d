"""The private CA: who can read it, what it vouches for, what clients are told to trust."""

import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import certifi
import pytest

from harness import authority
from harness.authority import CERTIFICATE, Authority, new_authority
from harness.core.errors import BadInput


@pytest.fixture
def made(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "deep" / "ca")


def test_only_the_owner_can_read_it(made: Authority) -> None:
    made.bundle()
    assert made.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made.folder.iterdir()} == {0o600}
    assert len(list(made.folder.iterdir())) == 3


def test_it_is_made_once(made: Authority) -> None:
    again = Authority(made.folder)
    assert again.certificate == made.certificate
    assert again.bundle() == made.bundle()


def test_its_paths_hold_in_other_folders_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = Authority(Path("ca"))
    monkeypatch.chdir("/")
    assert made.file.exists()
    assert made.certificate_file.exists()
    assert made.bundle().is_absolute()


def test_many_at_the_same_moment_make_one(tmp_path: Path) -> None:
    found: list[Authority] = []
    threads = [threading.Thread(target=lambda: found.append(Authority(tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.certificate.serial_number for one in found}) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca-cert.pem", "ca.pem"]


def shaken(server: ssl.SSLContext, host: str, trusted: Path) -> str | None:
    """What a client that trusts a file says of a server's TLS; None: nothing against it."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=trusted)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    client = context.wrap_bio(client_in, client_out, server_hostname=host)
    here = server.wrap_bio(client_out, client_in, server_side=True)
    for _ in range(3):
        for side in (client, here):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    assert client.version()
    return None


@pytest.mark.parametrize("host", ["api.openai.com", "127.0.0.1", "::1", "bücher.example", "a" * 63 + ".test"])
def test_clients_that_trust_it_accept_its_hosts(made: Authority, host: str) -> None:
    context = made.context(host)
    assert shaken(context, host, made.bundle()) is None
    assert shaken(context, host, made.certificate_file) is None
    assert shaken(context, "other.test", made.bundle()) is not None
    assert shaken(context, host, Path(certifi.where())) is not None


def test_a_bundle_adds_to_what_is_trusted_anyway_or_to_the_user_s_own(
    made: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def certificates(path: Path) -> set[str]:
        return {one.strip() for one in CERTIFICATE.findall(path.read_text())}

    ours = certificates(made.certificate_file)
    assert certificates(made.bundle()) >= certificates(Path(certifi.where())) | ours
    own = Authority(tmp_path / "own").certificate_file
    assert certificates(made.bundle(str(own))) == ours | certificates(own)
    assert certificates(made.bundle(str(tmp_path / "missing"))) == ours
    assert made.with_ours(None) == made.certificate_file
    monkeypatch.setattr(authority, "machine_bundles", lambda: [str(own), str(own)])
    assert len(CERTIFICATE.findall(made.bundle().read_text())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"hello",
        lambda data: data[: data.index(b"-----BEGIN CERT")],
        lambda data: data[: data.index(b"-----BEGIN CERT")] + new_authority().partition(b"KEY-----\n")[2],
    ],
    ids=["empty", "text", "key only", "of another key"],
)
def test_a_file_that_cannot_be_used(made: Authority, damage: Callable[[bytes], bytes]) -> None:
    made.file.write_bytes(damage(made.file.read_bytes()))
    with pytest.raises(BadInput, match="remove the file"):
        Authority(made.folder)


def test_one_that_is_not_valid_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "EARLIER", timedelta(days=authority.CA_DAYS + 1))
    with pytest.raises(BadInput, match="is not valid any more"):
        Authority(tmp_path)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"--ca-dir .*file/ca: Not a directory"):
        Authority(tmp_path / "file" / "ca")
