"""Headers put into a playback that is there already, without making it anew.

The law of this file: pure; deadlines stay as they are, and bytes behind the head as well.
"""

from array import array
from dataclasses import replace

from harness.core.exchange import Headers
from harness.replay.playback import Playback

HEAD_END = b"\r\n\r\n"


def headers_named(played: Playback, prefix: str) -> Headers:
    """The headers of a playback whose names begin so (in lower case)."""
    head = played.blob[: max(0, played.blob.find(HEAD_END))].decode("utf-8", "surrogateescape")
    pairs = (line.partition(": ") for line in head.split("\r\n")[1:])
    return tuple((name, value) for name, _, value in pairs if name.lower().startswith(prefix))


def with_headers(played: Playback, headers: Headers, dropped: tuple[str, ...] = ()) -> Playback:
    """The playback with these headers, and without those whose names (in lower case) begin as `dropped`.

    A playback without a head, which is a broken connection, stays as it is.
    """
    end = played.blob.find(HEAD_END)
    if end < 0:
        return played
    first, *lines = played.blob[:end].decode("utf-8", "surrogateescape").split("\r\n")
    kept = [line for line in lines if not line.lower().startswith(dropped)] if dropped else lines
    new = "\r\n".join([first, *kept, *(f"{name}: {value}" for name, value in headers)])
    head = new.encode("utf-8", "surrogateescape")
    longer = len(head) - end
    return replace(
        played, blob=head + played.blob[end:], ends=array("Q", (one + longer for one in played.ends))
    )
