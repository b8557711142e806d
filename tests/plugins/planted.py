"""Secrets in every place that we know of, each with the rule without which it would be kept.

`PLANTED` is the table. A row's exchange holds one secret, of which no byte may be left; `off` takes the
one rule away that finds it there. `OPTIONS` and `ENVIRONMENT` are what `harness record` needs to know.
"""

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from harness.core.derive import derive
from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Exchange, Headers, Request, Response
from harness.core.json_path import places
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets, secrets_of

ENVIRONMENT = {
    "PLANTED_API_KEY": "planted-E1/env+key=value",
    "PLANTED_TOKEN": "planted-E2-token-of-this-run",
}
OF_RUN, OF_TOKEN = ENVIRONMENT.values()

OPTIONS = (
    *("--redact-header", "X-Tenant"),
    *("--redact-query", "customer"),
    *("--redact-field", "ssn"),
    *("--redact-json", "$.metadata.account"),
    *("--redact-json", "$..choices[*].delta.name"),
    *("--redact-pattern", r"CUST-(\w{9})"),
    "--redact-email",
)

RULES = Rules.default() | Rules(
    headers=("x-tenant",),
    query=("customer",),
    names=("ssn",),
    paths=("$.metadata.account", "$..choices[*].delta.name"),
    patterns=(r"CUST-(\w{9})",),
    forms=("email",),
)

JSON, SSE = ("Content-Type", "application/json"), ("Content-Type", "text/event-stream")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
PARTS = ("Content-Type", 'multipart/form-data; boundary="xyz"')
BEARER = ("Authorization", "Bearer planted-A9-bearer.of.a.user")

type Off = Callable[[Rules], Rules] | None


@dataclass(frozen=True)
class Planted:
    """A secret in its place. `off` None: it is known from the run, not by a rule."""

    place: str
    secret: str
    exchange: Exchange
    off: Off


def without(kind: str, *names: str) -> Off:
    """The rules without some of a kind, or without all of it."""

    def off(rules: Rules) -> Rules:
        kept = [one for one in getattr(rules, kind) if names and getattr(one, "prefix", one) not in names]
        return replace(rules, **{kind: tuple(kept)})

    return off


def asked(*headers: tuple[str, str], body: bytes = b"", path: str = "") -> Exchange:
    """An exchange with this request, and an answer that says nothing."""
    answer = Response(200, (JSON,), 1, ((2, b'{"ok":true}'),), 3)
    return Exchange(Request("POST", f"http://upstream.test{path or '/v1/x'}", headers, body), answer)


def answered(*chunks: bytes, headers: Headers = (JSON,), sent: Headers = ()) -> Exchange:
    """An exchange with this answer."""
    body = b'{"model":"m","stream":true}'
    request = Request("POST", "http://upstream.test/v1/chat/completions", (JSON, *sent), body)
    return Exchange(request, Response(200, headers, 1, tuple(enumerate(chunks, 2)), 99))


def streamed(*deltas: str, name: str = "content") -> Exchange:
    """A chat stream that says this, piece by piece."""
    lines = [json.dumps({"choices": [{"index": 0, "delta": {name: piece}}]}) for piece in deltas]
    return answered(*(f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"]), headers=(SSE,))


def pieces(text: str, size: int = 3) -> list[str]:
    """A text as a model says it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def part(name: str, content: str, more: str = "") -> bytes:
    """A multipart body with one part of this name, and another."""
    lines = ("--xyz", f'Content-Disposition: form-data; name="{name}"{more}', "", content)
    other = ("--xyz", 'Content-Disposition: form-data; name="model"', "", "whisper-1", "--xyz--", "")
    return "\r\n".join([*lines, *other]).encode()


def encoded(text: str, before: str) -> str:
    """Base64 of a text with something around it."""
    return base64.b64encode(f"{before}{text} and more".encode()).decode()


def error_of(text: str) -> bytes:
    """An error that repeats what it was sent."""
    return json.dumps({"error": {"message": f"Incorrect API key provided: {text}."}}).encode()


def logprobs_of(secret: str, *, names: bool) -> bytes:
    """A completion whose logprobs tell more than its text."""
    tokens = pieces(secret)
    likely = [{token: -0.1, "other": -2.0} for token in tokens]
    told = {"tokens": ["no"] * len(tokens), "top_logprobs": likely} if names else {"tokens": tokens}
    return json.dumps({"choices": [{"index": 0, "text": "no", "logprobs": told}]}).encode()


def nested(value: object, depth: int) -> bytes:
    """JSON in a string of JSON, so deep."""
    for _ in range(depth):
        value = {"arguments": json.dumps(value)}
    return json.dumps(value).encode()


def in_headers() -> Iterator[Planted]:
    """Secrets in headers."""
    plain = (
        ("header authorization", "planted-01", ("Authorization", "planted-01"), ("*authorization",)),
        ("header in capitals", "planted-02", ("X-SOME-API-KEY", "planted-02"), ("*-api-key",)),
        ("header cookie", "planted-03", ("Cookie", "session=planted-03; a=b"), ("cookie",)),
        (
            "header of an organisation",
            "planted-04",
            ("OpenAI-Organization", "planted-04"),
            ("openai-organization",),
        ),
        ("header token", "planted-05", ("x-amz-security-token", "planted-05"), ("*-token",)),
        ("header of one's own", "planted-06", ("X-Tenant", "planted-06"), ("x-tenant",)),
        ("credentials in another header", "planted-07", ("X-Original", "Bearer planted-07"), ()),
    )
    for place, secret, header, names in plain:
        yield Planted(place, secret, asked(header), without("headers", *names))
    setting = answered(b"{}", headers=(("Set-Cookie", "s=planted-08; Path=/"), JSON))
    yield Planted("header set-cookie", "planted-08", setting, without("headers", "set-cookie"))


def in_queries_and_forms() -> Iterator[Planted]:
    """Secrets in queries, forms and multipart bodies."""
    for place, secret, path, name in (
        ("query", "planted-09", "/v1/x?api_key=planted-09", "api_key"),
        ("query with an encoded name", "planted-10", "/v1/x?a=1&Client%5Fsecret=planted-10", "client_secret"),
        ("query of one's own", "planted-11", "/v1/x?customer=planted-11", "customer"),
    ):
        yield Planted(place, secret, asked(path=path), without("query", name))
    form = urlencode({"a": "b", "client_secret": "planted-12"}).encode()
    yield Planted("form", "planted-12", asked(FORM, body=form), without("query", "client_secret"))
    form = urlencode({"ssn": "planted-13"}).encode()
    yield Planted("form field of one's own", "planted-13", asked(FORM, body=form), without("names"))
    yield Planted(
        "multipart", "planted-14", asked(PARTS, body=part("token", "planted-14")), without("query", "token")
    )
    file = part("ssn", "name\nplanted-15\n", '; filename="a.txt"')
    yield Planted("multipart file", "planted-15", asked(PARTS, body=file), without("names"))


def in_json() -> Iterator[Planted]:
    """Secrets that the names in JSON tell."""
    password = {"password": "planted-16", "a": "b"}
    yield Planted(
        "JSON field", "planted-16", asked(JSON, body=nested(password, 0)), without("fields", "password")
    )
    for depth in (2, 4):
        yield Planted(
            f"JSON field in strings {depth} deep",
            f"planted-17-{depth}",
            answered(nested({"Password": f'x" planted-17-{depth}'}, depth)),
            without("fields", "password"),
        )
    yield Planted(
        "JSON field of one's own", "planted-18", answered(b'{"SSN": "planted-18"}'), without("names")
    )
    yield Planted("number of one's own", "9911223344", answered(b'{"Ssn": [9911223344]}'), without("names"))
    account = b'{"metadata": {"account": {"of": ["planted-20"]}}}'
    yield Planted(
        "JSON path", "planted-20", asked(JSON, body=account), without("paths", "$.metadata.account")
    )
    yield Planted(
        "JSON path in a stream",
        "planted-21",
        streamed("planted-21", name="name"),
        without("paths", "$..choices[*].delta.name"),
    )


def keys_of_providers() -> Iterator[Planted]:
    """Secrets that their own form tells."""
    key = "PlantedKey22PlantedKey22"
    whole = json.dumps({"messages": [{"content": f"my key is\nsk-{key}"}]}).encode()
    yield Planted("key in a prompt", key, asked(JSON, body=whole), without("keys", "sk-"))
    packed = asked(JSON, ("Content-Encoding", "gzip"), body=gzip.compress(whole))
    yield Planted("key in a packed request", key, packed, without("keys", "sk-"))
    yield Planted("key in a path", key, asked(path=f"/v1/gsk_{key}/models"), without("keys", "gsk_"))
    key = "PlantedKey23PlantedKey23"
    said = json.dumps({"text": f"xai-{key}"}).encode()
    yield Planted("key over two chunks", key, answered(said[:20], said[20:]), without("keys", "xai-"))
    yield Planted("key over deltas", key, streamed(*pieces(f"the hf_{key} is it")), without("keys", "hf_"))
    yield Planted(
        "key over arguments",
        key,
        streamed(*pieces(f'{{"k":"r8_{key * 2}"}}'), name="refusal"),
        without("keys", "r8_"),
    )
    zipped = answered(gzip.compress(said), headers=(JSON, ("Content-Encoding", "gzip")))
    yield Planted("key in a packed answer", key, zipped, without("keys", "xai-"))
    jwt = "eyJhbGciPlanted.eyJzdWIiPlanted.c2lnUGxhbnRlZA"
    yield Planted(
        "JSON web token", jwt[3:], answered(json.dumps({"t": jwt}).encode()), without("keys", "eyJ")
    )
    azure = "Planted24" * 5 + "PlantJQQJ99" + "Planted24" * 3
    yield Planted("key of Azure", azure, answered(error_of(azure)), without("keys", "JQQJ99"))
    yield Planted("logprobs", key, answered(logprobs_of(f"sk-{key}", names=False)), without("keys", "sk-"))
    yield Planted(
        "likely tokens", key, answered(logprobs_of(f"sk-{key}", names=True)), without("keys", "sk-")
    )


def other_forms() -> Iterator[Planted]:
    """Secrets that what stands beside them tells, and patterns."""
    yield Planted(
        "credentials in a text",
        "planted-25-of-a-user",
        answered(error_of("bearer planted-25-of-a-user")),
        without("forms", "bearer"),
    )
    basic = base64.b64encode(b"user:planted-26").decode()
    yield Planted("basic in a text", basic, answered(error_of(f"Basic {basic}")), without("forms", "basic"))
    url = json.dumps({"image_url": "https://user:planted-27@files:8080/a.png"}).encode()
    yield Planted("credentials in a URL", "planted-27", asked(JSON, body=url), without("forms", "userinfo"))
    mail = json.dumps({"content": "write\nplanted.28@mail.test!"}).encode()
    yield Planted("e-mail address", "planted.28@mail", asked(JSON, body=mail), without("forms", "email"))
    yield Planted(
        "pattern of one's own", "planted29", answered(b'{"a":"CUST-planted29"}'), without("patterns")
    )


def of_the_run() -> Iterator[Planted]:
    """Secrets that are known."""
    user = BEARER[1].removeprefix("Bearer ")
    yield Planted("key of the run", OF_RUN, answered(error_of(OF_RUN)), None)
    yield Planted("key of the run, encoded", OF_RUN, answered(error_of(quote(OF_RUN, safe=""))), None)
    for before in ("", "a", "ab"):
        yield Planted(
            f"key of the run in base64, {len(before)} before",
            OF_RUN,
            answered(error_of(encoded(OF_RUN, before))),
            None,
        )
    yield Planted("token of the run over deltas", OF_TOKEN, streamed(*pieces(OF_TOKEN)), None)
    yield Planted(
        "key of the run in base64 over deltas", OF_RUN, streamed(*pieces(encoded(OF_RUN, "x"))), None
    )
    said = error_of(OF_TOKEN)
    yield Planted("token of the run over chunks", OF_TOKEN, answered(said[:55], said[55:]), None)
    yield Planted("token of the run in a prompt", OF_TOKEN, asked(JSON, body=nested(OF_TOKEN, 1)), None)
    yield Planted("credentials that come back", user, answered(error_of(user), sent=(BEARER,)), None)
    cookies = (("Cookie", "sid=planted-A8-cookie-of-a-user"),)
    echo = answered(error_of("planted-A8-cookie-of-a-user"), sent=cookies)
    yield Planted("a cookie that comes back", "planted-A8-cookie-of-a-user", echo, None)


PLANTED = (
    *in_headers(),
    *in_queries_and_forms(),
    *in_json(),
    *keys_of_providers(),
    *other_forms(),
    *of_the_run(),
)


def redactor(rules: Rules = RULES, *, known: bool = True) -> Redactor:
    """What masks all of it."""
    return Redactor(rules, RunSecrets(secrets_of(ENVIRONMENT)) if known else None)


def forms_of(secret: str) -> Iterator[bytes]:
    """A secret raw, encoded as in a URL, and in base64 wherever it begins."""
    raw = secret.encode()
    yield from (raw, quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).rstrip(b"=")
        yield text[before + 1 if before else 0 : -1 if (before + len(raw)) % 3 else None]


def plain_of(message: Request | Response) -> bytes:
    """The body of a message without its encoding."""
    return decode_body(encoding_of(message.headers), message.body)


def kept_of(data: bytes, secret: str) -> bool:
    """Whether data holds a secret, however written."""
    return any(form in data for form in forms_of(secret))


def likely_of(body: bytes) -> Iterator[bytes]:
    """What the likeliest tokens of a completion say."""
    if b"top_logprobs" in body:
        for choice in json.loads(body)["choices"]:
            yield "".join(
                max(tokens, key=tokens.get) for tokens in choice["logprobs"]["top_logprobs"]
            ).encode()


def said_by(exchange: Exchange) -> Iterator[bytes]:
    """What an answer says piece by piece: as text, and under each of its names."""
    if exchange.response is None:
        return
    body = plain_of(exchange.response)
    told: defaultdict[object, list[bytes]] = defaultdict(list)
    for place in places(body, names=True):
        told[place.path[-1] if isinstance(place.path[-1], str) else place.path[-2]].append(
            body[place.start : place.end]
        )
        told[len(place.path)].append(body[place.start : place.end])
    yield derive(exchange).text.encode()
    yield from likely_of(body)
    yield from map(b"".join, told.values())
