"""Headers put into a playback: bytes behind the head, deadlines and ends stay true."""

import itertools

from harness.core.exchange import Exchange, Request, Response, State
from harness.replay.heads import headers_named, with_headers
from harness.replay.playback import Client, Playback, playback

HEADERS = (("Content-Type", "text/plain"), ("X-Ratelimit-Limit", "9"), ("x-note", "caf\udce9"))
RESPONSE = Response(200, HEADERS, 10, ((20, b"a\r\n\r\nb"), (30, b"c")), 40)


def parts(played: Playback) -> list[tuple[int, bytes]]:
    bounds = itertools.pairwise((0, *played.ends))
    return [(due, played.blob[start:end]) for due, (start, end) in zip(played.due, bounds, strict=True)]


def test_only_the_head_is_another() -> None:
    before = playback(Exchange(Request("GET", "http://u/"), RESPONSE), Client())
    after = with_headers(before, (("x-new", "1"), ("x-more", "2")), ("x-ratelimit-",))
    assert parts(after)[1:] == parts(before)[1:]
    (due, head), (_, old) = parts(after)[0], parts(before)[0]
    assert due == 10
    assert head == old.replace(b"X-Ratelimit-Limit: 9\r\n", b"").removesuffix(b"\r\n") + (
        b"x-new: 1\r\nx-more: 2\r\n\r\n"
    )
    assert b"x-note: caf\xe9" in head


def test_headers_are_found_by_how_their_names_begin() -> None:
    made = playback(Exchange(Request("GET", "http://u/"), RESPONSE), Client())
    assert headers_named(made, "x-") == HEADERS[1:]
    assert headers_named(Playback(b"", made.due, made.ends, made.ending), "x-") == ()


def test_a_broken_connection_has_no_head() -> None:
    before = playback(Exchange(Request("GET", "http://u/"), None, State.UPSTREAM_CUT, end_ns=7), Client())
    assert with_headers(before, (("x-new", "1"),)) is before
