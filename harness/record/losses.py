"""What the writer could not store: counted, with the reasons, so that no line is said over and over.

The law of this file: no exchange is lost without being counted here.
"""

from collections.abc import Callable

from harness.store.appender import BUSY_S


class Losses:
    """What could not be stored, and why. `refuse` is told each reason.

    `patience_s`: how long one exchange may wait for another program; none, while one waited in vain.
    """

    def __init__(self, refuse: Callable[[str], None]) -> None:
        self.refuse = refuse
        self.lost = self.run = 0
        self.reasons: dict[str, None] = {}
        self.last = ""
        self.patience_s = BUSY_S

    def note(self, reason: str) -> bool:
        """Something is not where it should be; whether that is new."""
        if reason in self.reasons:
            return False
        self.reasons[reason] = None
        self.refuse(reason)
        return True

    def count(self, reason: str) -> bool:
        """Count an exchange; whether it is the first in a run for this reason."""
        self.note(reason)
        first, self.last = reason != self.last, reason
        self.lost += 1
        self.run += 1
        return first

    def over(self) -> int:
        """An exchange was stored: how many before it were not, one after another."""
        run, self.run, self.last, self.patience_s = self.run, 0, "", BUSY_S
        return run
