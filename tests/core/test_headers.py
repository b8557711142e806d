"""Headers by what they belong to."""

import pytest

from harness.core.headers import OF_CONNECTION, OF_TRACE, is_named


@pytest.mark.parametrize(
    ("name", "of_connection", "of_trace"),
    [
        ("host", True, False),
        ("proxy-connection", True, False),
        ("x-stainless-lang", False, True),
        ("traceparent", False, True),
        ("content-type", False, False),
        ("x-hosted", False, False),
    ],
)
def test_what_a_header_belongs_to(name: str, of_connection: bool, of_trace: bool) -> None:
    assert (is_named(name, OF_CONNECTION), is_named(name, OF_TRACE)) == (of_connection, of_trace)
