"""What the checker beside a recorder (`harness.validate.live`) says to whoever started it, at its end."""

from harness.core.document import Document


class CheckCounts(Document):
    """How many exchanges it checked, and how many of them have errors."""

    checked: int = 0
    wrong: int = 0
