"""A private certificate authority, with which a proxy of ours can speak TLS in the name of a host.

The law of this file: the key stays in one folder of the user's, made on first use, whose files only he
can read; it vouches for nothing but what clients were told to trust. Needs the extra `proxy`.

Files of the folder: `ca.pem` (key and certificate), `ca-cert.pem` (the certificate), and bundles
`trust-….pem` that add it to what is trusted anyway, for variables that replace a client's own list.
"""

import datetime as dt
import ipaddress
import os
import re
import ssl
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import certifi
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from platformdirs import user_data_path

from harness.core.errors import BadInput

NAME = "Harness, a private CA of this machine"
CA_DAYS, LEAF_DAYS = 3650, 365
"""Clients refuse certificates of servers that are valid for much more than a year (CA/B Forum, 6.3.2)."""
EARLIER = dt.timedelta(days=2)
"""Clocks differ: certificates are valid from a little before they are made."""
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def default_folder() -> Path:
    """The user's folder for the CA."""
    return user_data_path("harness") / "ca"


class Authority:
    """The CA of a folder. `file` holds its key and certificate, `certificate_file` the latter.

    Their paths are absolute: other programs get them, which work in folders of their own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.file = self.folder / "ca.pem"
        self.certificate_file = self.folder / "ca-cert.pem"
        try:
            if not self.file.exists():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                put(self.file, new_authority(), replace=False)
            self.key, self.certificate = loaded(self.file)
            put(self.certificate_file, pem(self.certificate), replace=True)
        except OSError as error:
            raise BadInput(f"--ca-dir {folder}: {error.strerror or error}") from error

    def bundle(self, own: str | None = None) -> Path:
        """A file with our certificate and those trusted anyway: `own`, or the machine's and certifi's."""
        certificates = CERTIFICATE.findall(self.certificate_file.read_text())
        for trusted in (own,) if own else machine_bundles():
            with suppress(OSError, UnicodeDecodeError):
                certificates += CERTIFICATE.findall(Path(trusted).read_text(encoding="utf-8"))
        data = joined(certificates)
        path = self.folder / f"trust-{sha256(data).hexdigest()[:16]}.pem"
        if not path.exists():
            put(path, data, replace=True)
        return path

    def with_ours(self, own: str | None) -> Path:
        """A file with our certificate and `own` ones, for a client that adds them to its list."""
        return self.certificate_file if not own else self.bundle(own)

    def context(self, host: str) -> ssl.SSLContext:
        """What a server needs to speak TLS as this host; in HTTP/1.1."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.set_alpn_protocols(["http/1.1"])
        with NamedTemporaryFile(prefix="harness-", suffix=".pem") as file:  # 0600; ssl reads only files
            file.write(self.leaf(host))
            file.flush()
            made.load_cert_chain(file.name)
        return made

    def leaf(self, host: str) -> bytes:
        """A key and a certificate of this host, as PEM."""

        key = new_key()
        names = x509.SubjectAlternativeName([general_name(host)])
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = blank(key, self.certificate.subject, LEAF_DAYS).subject_name(name_of(host))
        for extension in (names, use, issuer):
            builder = builder.add_extension(extension, critical=False)
        return pem_of_key(key) + pem(signed(builder, self.key))


def machine_bundles() -> list[str]:
    """The lists of trusted certificates of this machine, and certifi's."""
    return [path for path in (ssl.get_default_verify_paths().cafile, certifi.where()) if path]


def joined(certificates: Iterable[str]) -> bytes:
    """A bundle, each certificate once."""
    return "".join(dict.fromkeys(f"{one.strip()}\n" for one in certificates)).encode()


def put(path: Path, data: bytes, *, replace: bool) -> None:
    """Write a file at once and whole, for its owner alone; one that is there stays unless `replace`."""
    if path.exists() and path.read_bytes() == data:
        return
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(data)
    try:
        if replace:
            Path(file.name).replace(path)
        else:
            with suppress(FileExistsError):  # somebody else was quicker: theirs counts
                os.link(file.name, path)
    finally:
        Path(file.name).unlink(missing_ok=True)


def loaded(file: Path) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    """Key and certificate of the CA; BadInput where they cannot be used."""
    advice = "remove the file, and a new one is made, which clients must then trust"
    try:
        data = file.read_bytes()
        key, certificate = load_pem_private_key(data, None), x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{file} holds no key and certificate: {advice}") from error
    if not isinstance(key, EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise BadInput(f"{file} holds no key of ours: {advice}")
    if certificate.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise BadInput(f"{file} is not valid any more: {advice}")
    return key, certificate


def new_authority() -> bytes:
    """A new CA: key and certificate, as PEM. On P-256, whose signatures cost a busy loop little."""
    key = new_key()
    name = name_of(NAME)
    builder = blank(key, name, CA_DAYS).subject_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(signing_only(), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return pem_of_key(key) + pem(signed(builder.add_extension(identifier, critical=False), key))


def signing_only() -> x509.KeyUsage:
    """What the CA's key is for."""
    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
    more = ("key_agreement", "encipher_only", "decipher_only")
    return x509.KeyUsage(key_cert_sign=True, crl_sign=True, **dict.fromkeys((*others, *more), False))


def blank(key: EllipticCurvePrivateKey, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    """A certificate of a key that is valid from now on for so many days, without a subject."""
    start = dt.datetime.now(dt.UTC) - EARLIER
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
    )


def signed(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate, signed with SHA-256."""
    return builder.sign(key, SHA256())


def new_key() -> EllipticCurvePrivateKey:
    """A key on P-256."""
    return generate_private_key(SECP256R1())


def name_of(text: str) -> x509.Name:
    """A name that is one common name; those have 64 characters at most (RFC 5280, A.1)."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text[:64])])


def general_name(host: str) -> x509.GeneralName:
    """A host as certificates name it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host if host.isascii() else host.encode("idna").decode())


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def pem_of_key(key: EllipticCurvePrivateKey) -> bytes:
    """A key as PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
