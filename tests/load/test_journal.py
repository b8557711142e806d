"""The journal: whole frames, whatever is torn at its end, also while it grows."""

from array import array
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.load.journal import JournalReader, JournalWriter, blob_of, pieces_of

PIECES = st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=40)), max_size=20)


def test_frames_come_back_in_their_order(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j")
    writer.append("sent", {"number": 1, "text": "ä"})
    writer.append("answer", {"number": 1}, b"\0\xff")
    writer.close()
    reader = JournalReader(tmp_path / "j")
    assert list(reader.frames()) == [
        ({"kind": "sent", "number": 1, "text": "ä"}, b""),
        ({"kind": "answer", "number": 1}, b"\0\xff"),
    ]
    reader.close()


def test_a_torn_frame_is_not_there_until_it_is_whole(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "whole")
    writer.append("sent", {"number": 1})
    writer.append("answer", {"number": 1}, b"body" * 10)
    writer.close()
    whole, torn = (tmp_path / "whole").read_bytes(), tmp_path / "torn"
    torn.write_bytes(b"")
    reader, seen = JournalReader(torn), []
    for end in range(len(whole) + 1):
        torn.write_bytes(whole[:end])
        seen += [(end, frame.head["kind"]) for frame in reader.frames()]
    first = len(whole) - len(b"body" * 10) - 8 - len('{"kind":"answer","number":1}')
    assert seen == [(first, "sent"), (len(whole), "answer")]
    reader.close()


def test_blobs_can_be_passed_over(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "j")
    for number in range(3):
        writer.append("answer", {"number": number}, bytes(1000))
    writer.close()
    reader = JournalReader(tmp_path / "j", blobs=False)
    assert [(frame.head["number"], frame.blob) for frame in reader.frames()] == [(0, b""), (1, b""), (2, b"")]
    reader.close()


def test_a_second_writer_appends(tmp_path: Path) -> None:
    for number in range(2):
        writer = JournalWriter(tmp_path / "j")
        writer.append("sent", {"number": number})
        writer.close()
    reader = JournalReader(tmp_path / "j")
    assert [frame.head["number"] for frame in reader.frames()] == [0, 1]
    reader.close()


@given(PIECES)
def test_pieces_survive(pieces: list[tuple[int, bytes]]) -> None:
    stamps, sizes = array("q", (at for at, _ in pieces)), array("I", (len(data) for _, data in pieces))
    assert pieces_of(blob_of(stamps, sizes, (data for _, data in pieces)), len(pieces)) == pieces
