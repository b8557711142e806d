"""The errors that reach a user, split by whose fault they are; each knows its exit code.

Every message is one line: what was wrong, where, and what to try. The command line prints it
without a traceback (`harness.cli.app`).
"""


class HarnessError(Exception):
    """Base of all errors that are told to the user in one line. `exit_code` is the process's."""

    exit_code = 1


class BadInput(HarnessError):
    """A file, option or URL of the user cannot be used; nothing was written."""

    exit_code = 2


class MissingExtra(BadInput):
    """A part of harness that needs an extra, which is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        python = "" if extra == "proxy" else " (Python 3.13 or later)"
        super().__init__(f"{what} needs the extra '{extra}': pip install 'traffic-harness[{extra}]'{python}")


class CheckFailed(HarnessError):
    """A check that the user asked for failed: misses, violations, tolerance."""


class Untrusted(HarnessError):
    """The measurement cannot be trusted; its figures mean nothing."""

    exit_code = 3


class NotRecorded(HarnessError):
    """Some traffic could not be recorded."""

    exit_code = 4
