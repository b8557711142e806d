import base64
import json
import re
from collections import Counter
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.masks import Mask, apply, long_mask, same_mask
from harness.core.run_secrets import MOST, RunSecrets, credentials_of, secrets_of

SECRET = "pl4nted/Run+Secret=="


def masked(known: RunSecrets, text: str, mask: Mask = long_mask) -> str:
    data = text.encode()
    for row in known.rows:
        data = apply(row, data, mask, Counter())
    return data.decode()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        quote(SECRET, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        quote(quote(SECRET, safe=""), safe=""),
        "".join(f"%{code:02X}" for code in SECRET.encode()),
        SECRET.replace("/", r"\/"),
        SECRET.replace("/", r"\u002F").replace("+", r"\u002b"),
    ],
)
def test_a_secret_however_it_is_written(written: str) -> None:
    known = RunSecrets([SECRET])
    assert masked(known, f"<{written}>") == f"<{long_mask(written.encode()).decode()}>"
    assert masked(known, f"<{written}>", same_mask) == "<[redacted]>"


@given(st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_base64_of_it_becomes_base64_of_stars(before: bytes, after: bytes, of_urls: bool) -> None:
    encode, decode = (
        (base64.urlsafe_b64encode, base64.urlsafe_b64decode)
        if of_urls
        else (base64.b64encode, base64.b64decode)
    )
    text = encode(before + SECRET.encode() + after).decode()
    done = masked(RunSecrets([SECRET]), text)
    assert len(done) == len(text)
    if SECRET.encode() not in before + after:
        assert decode(done) == before + b"*" * len(SECRET) + after


def test_percent_encoded_base64() -> None:
    text = quote(base64.b64encode(b"a?>>" + SECRET.encode() + b"??>").decode(), safe="")
    done = masked(RunSecrets([SECRET]), text)
    assert len(done) == len(text)
    assert "ZWNyZXQ" not in done


def test_of_a_providers_key_the_beginning_is_kept() -> None:
    assert masked(RunSecrets(["sk-Planted1234"]), "sk-Planted1234!") == "sk-[redacted]*!"


def test_the_longer_of_two_comes_first() -> None:
    assert masked(RunSecrets(["planted1", "planted1-and-more"]), "planted1-and-more") == "[redacted]*******"


def test_json_with_a_secret_of_marks_stays_json() -> None:
    secret = 'pl"an\\ted42'
    done = masked(RunSecrets([secret]), json.dumps({"a": f"<{secret}>", "b": "c"}))
    assert json.loads(done) == {"a": "<[redacted]***>", "b": "c"}


def test_what_was_seen_is_remembered_for_a_while_and_what_was_given_for_good() -> None:
    known = RunSecrets([SECRET])
    known.learn(["first-seen-1"])
    for number in range(MOST - 1):
        known.learn([f"seen-secret-{number}", "first-seen-1"])
    assert masked(known, "first-seen-1 seen-secret-0") == "[redacted]** [redacted]***"
    known.learn([f"later-secret-{number}" for number in range(MOST)])
    assert masked(known, f"seen-secret-0 {SECRET}") == f"seen-secret-0 {long_mask(SECRET.encode()).decode()}"


def test_a_mask_is_no_secret() -> None:
    known = RunSecrets(["redacted", "********", "placeholder-for-replay", "undefined"])
    known.learn(["[redacted]", "*********", "Not-Needed"])
    assert known.rows == ()


def test_secrets_in_an_environment() -> None:
    environment = {
        "OPENAI_API_KEY": "12345678",
        "my_api_key": "abcdefgh ",
        "SHORT_API_KEY": "1234567",
        "GITHUB_TOKEN": "a-token-of-sixteen-at-least",
        "CSRF_TOKEN": "short-token",
        "SSH_KEY": "/home/somebody/.ssh/id_ed25519",
        "PEM_KEY": "~/keys/of/a/server.pem",
        "AWS_SECRET_ACCESS_KEY": "/wJalrXUtnFEMIK7MDENGbPxRfiCY",
        "HOME": "/home/somebody/of/a/long/name",
        "GREETING_SECRET": "words with blanks between them",
        "KEYBOARD": "a-long-name-of-a-keyboard",
    }
    assert sorted(secrets_of(environment)) == [
        "/wJalrXUtnFEMIK7MDENGbPxRfiCY",
        "12345678",
        "a-token-of-sixteen-at-least",
        "abcdefgh",
    ]


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("authorization", "Bearer planted-1", ["planted-1"]),
        ("authorization", "planted-1", ["planted-1"]),
        ("authorization", "Basic dXNlcjpwbGFudGVkLTI=", ["dXNlcjpwbGFudGVkLTI=", "planted-2"]),
        ("authorization", "Basic !", []),
        ("authorization", "Bearer EMPTY", []),
        ("authorization", "Bearer [redacted]", []),
        ("authorization", "AWS4-HMAC-SHA256 Credential=a, Signature=b", []),
        ("x-api-key", "planted-1", ["planted-1"]),
        ("cookie", "theme=darkmode; sid=planted-1", ["planted-1"]),
        ("set-cookie", "sid=planted-1; Domain=.a-long-name-of-a.test; Path=/", ["planted-1"]),
        ("openai-organization", "acme-corporation", []),
    ],
)
def test_secrets_in_a_header(name: str, value: str, secrets: list[str]) -> None:
    assert list(credentials_of(name, value)) == secrets
