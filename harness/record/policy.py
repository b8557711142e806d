"""What becomes of the traffic once something cannot be stored."""

from enum import StrEnum


class Policy(StrEnum):
    """`--on-storage-failure`."""

    STOP = "stop"
    """Clients are refused, and the recorder ends."""
    PASS = "pass"  # noqa: S105  no password
    """Traffic passes, unrecorded where it must; it is counted."""
