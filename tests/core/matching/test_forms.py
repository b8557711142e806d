"""Forms by their parts."""

import pytest

from harness.core.matching.forms import form_of

URL_ENCODED = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)


def multipart(
    *parts: bytes, boundary: str = "xyz", end: bytes = b"--\r\n"
) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    line = b"--" + boundary.encode()
    body = b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + end
    return body, (("content-type", f'multipart/form-data; boundary="{boundary}"'),)


def named(name: str, content: bytes, more: str = "", kind: str = "") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"{more}'
    return (head + (f"\r\nContent-Type: {kind}" if kind else "")).encode() + b"\r\n\r\n" + content


MODEL, PROMPT = named("model", b"whisper-1"), named("prompt", b"line\r\n--xy\r\nline")
AUDIO = named("file", b"\x00\xff--\r\n", '; filename="a.wav"', "audio/wav")


def test_parts_are_fields_by_name() -> None:
    form = form_of(*multipart(MODEL, PROMPT, AUDIO))
    assert form is not None
    place, fields = form
    assert place == "part"
    assert isinstance(fields, dict)
    assert (fields["model"], fields["prompt"]) == ("whisper-1", "line\r\n--xy\r\nline")
    assert isinstance(fields["file"], dict)
    assert (fields["file"]["filename"], fields["file"]["type"]) == ("a.wav", "audio/wav")
    assert str(fields["file"]["content"]).startswith("6 bytes, SHA-256 ")


def test_boundaries_and_the_order_of_names_do_not_matter() -> None:
    assert form_of(*multipart(MODEL, AUDIO)) == form_of(*multipart(AUDIO, MODEL, boundary="other 1"))
    body, headers = multipart(MODEL, AUDIO)
    assert form_of(b"preamble\r\n" + body + b"epilogue", headers) == form_of(body, headers)


OTHERS = {
    "another value": (named("model", b"whisper-2"), AUDIO),
    "another file": (MODEL, AUDIO.replace(b"\x00", b"\x01")),
    "another file name": (MODEL, AUDIO.replace(b"a.wav", b"b.wav")),
    "another type": (MODEL, AUDIO.replace(b"audio/wav", b"audio/mp3")),
    "a part more": (MODEL, AUDIO, named("n", b"1")),
    "a part twice": (MODEL, MODEL, AUDIO),
    "a part less": (MODEL,),
}


@pytest.mark.parametrize("parts", OTHERS.values(), ids=OTHERS)
def test_other_parts_are_another_form(parts: tuple[bytes, ...]) -> None:
    assert form_of(*multipart(*parts)) != form_of(*multipart(MODEL, AUDIO))


def test_parts_of_one_name_keep_their_order_and_json_its_value() -> None:
    one, two = named("f", b"1"), named("f", b"2")
    assert form_of(*multipart(one, two)) == ("part", {"f": ["1", "2"]})
    assert form_of(*multipart(one, two)) != form_of(*multipart(two, one))
    assert form_of(*multipart(named("meta", b'{"b": 1.0, "a": 2}'))) == ("part", {"meta": {"a": 2, "b": 1}})
    assert form_of(*multipart(named("empty", b""))) == ("part", {"empty": ""})


NOT_THE_SAME: dict[str, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
    "an array, and parts of one name": ((named("f", b'["1","2"]'),), (named("f", b"1"), named("f", b"2"))),
    "an object, and a file": (
        (named("f", b'{"content":"c","filename":"a.txt"}'),),
        (named("f", b"c", '; filename="a.txt"'),),
    ),
    "an object in an object": ((named("f", b'{"content":[1]}'),), (named("f", b"[1]"),)),
    "file names beyond ASCII": (
        (named("f", b"c", '; filename="日.wav"'),),
        (named("f", b"c", '; filename="月.wav"'),),
    ),
    "names beyond ASCII": ((named("日", b"c"),), (named("月", b"c"),)),
}


@pytest.mark.parametrize(("one", "other"), NOT_THE_SAME.values(), ids=NOT_THE_SAME)
def test_forms_that_only_look_alike_are_different(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    assert form_of(*multipart(*one)) != form_of(*multipart(*other))


BROKEN = {
    "no boundary": (b"--x\r\n", (("content-type", "multipart/form-data"),)),
    "no end": multipart(MODEL, end=b""),
    "no name": multipart(b"Content-Type: text/plain\r\n\r\nhello"),
    "a name that is no UTF-8": multipart(named("f", b"c").replace(b'f"', b'\xff"')),
    "no head": multipart(b"hello"),
    "another boundary": (multipart(MODEL)[0], multipart(boundary="abc")[1]),
    "nothing": (b"", multipart()[1]),
    "JSON": (b"{}", (("content-type", "application/json"),)),
}


@pytest.mark.parametrize("what", BROKEN.values(), ids=BROKEN)
def test_what_is_no_form_is_none(what: tuple[bytes, tuple[tuple[str, str], ...]]) -> None:
    assert form_of(*what) is None


def test_url_encoded_fields_are_decoded_and_may_come_in_any_order_of_names() -> None:
    assert form_of(b"b=2&a=%31&c=x+y&b=1", URL_ENCODED) == ("form", {"a": "1", "b": ["1", "2"], "c": "x y"})
    assert form_of(b"", URL_ENCODED) is None
