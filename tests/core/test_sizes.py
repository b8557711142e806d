import pytest

from harness.core.sizes import parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("64MiB", 64 * 2**20),
        (" 64 mib ", 64 * 2**20),
        ("0.5GiB", 2**29),
        ("3kB", 3000),
        ("2MB", 2_000_000),
        ("1gb", 10**9),
        ("8B", 8),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["0", "0.1", "0 GiB"])
def test_what_is_too_little(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is too little: give 1 B or more"):
        parse_size(text)


@pytest.mark.parametrize("text", ["9" * 400, "9" * 19, "9" * 13 + "GiB"])
def test_what_is_too_much(text: str) -> None:
    with pytest.raises(ValueError, match="is too much for any machine"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "-1", "MiB", "1TiB", "1 MiB more", "1e3", "٣", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size: write bytes, or a number with"):
        parse_size(text)


@pytest.mark.parametrize("size", [1, 1023, 2**10, 3 * 2**20, 2**30, 2**30 + 1])
def test_what_is_written_can_be_read(size: int) -> None:
    assert parse_size(size_text(size)) == size
