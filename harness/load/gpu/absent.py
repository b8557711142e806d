"""What is no mistake of the user: there is nothing to sample here, now."""

from harness.core.errors import BadInput


class Absent(BadInput):
    """There is no driver, no card, or no answer: who only wants a log beside a run goes on without."""
