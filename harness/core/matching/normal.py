"""Values that differ from run to run though nothing was meant by it, put as a placeholder.

Ids keep their identity: the first id of a request is `<uuid 1>` wherever it stands, so that a tool's
answer still belongs to its call. Times are all alike.
"""

import re
from collections.abc import Collection
from functools import partial

from harness.core.canonical import Json
from harness.core.matching.words import Kind

UUID = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9a-fA-F])")
TIMESTAMP = re.compile(
    r"(?<!\d)\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:?\d\d))?(?!\d)"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d\d:\d\d:\d\d GMT"
)
"""RFC 3339, ISO 8601 with a blank, and HTTP's dates (RFC 9110, 5.6.7)."""
DATE = re.compile(r"(?<![\d-])\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?![\d-])")

CALL_ID_KEYS = frozenset({"tool_call_id", "tool_use_id", "call_id"})
CALL_TYPES = frozenset(
    {"function", "custom", "tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"}
)
"""The `type` of objects whose `id` is that of a tool call."""


TEXTS: dict[Kind, tuple[re.Pattern[str], str, bool]] = {
    Kind.UUIDS: (UUID, "uuid", True),
    Kind.TIMESTAMPS: (TIMESTAMP, "timestamp", False),
    Kind.DATES: (DATE, "date", False),
}
"""Kind -> what it looks like in a text, its word, and whether each is told from the others."""


class Normaliser:
    """Puts placeholders into one subject; numbers count from its beginning, object members by name."""

    def __init__(self, kinds: Collection[Kind]) -> None:
        self.texts = [row for kind, row in TEXTS.items() if kind in kinds]
        self.calls = Kind.TOOL_CALL_IDS in kinds
        self.numbers: dict[tuple[str, str], int] = {}

    def value(self, value: Json) -> Json:
        """A value with placeholders, at any depth."""
        if isinstance(value, dict):
            return {key: self.member(key, value) for key in sorted(value)}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def member(self, key: str, holder: dict[str, Json]) -> Json:
        """A member of an object, which may be the id of a tool call."""
        value = holder[key]
        if self.calls and isinstance(value, str) and is_call_id(key, holder):
            return self.numbered("tool call", value)
        return self.value(value)

    def text(self, text: str) -> str:
        """A text with placeholders."""
        for pattern, word, told_apart in self.texts:
            put = partial(self.found, word) if told_apart else f"<{word}>"
            text = pattern.sub(put, text)
        return text

    def found(self, word: str, found: re.Match[str]) -> str:
        """The placeholder of an id in a text."""
        return self.numbered(word, found[0].lower())

    def numbered(self, word: str, name: str) -> str:
        """The placeholder of an id."""
        number = self.numbers.setdefault((word, name), len(self.numbers) + 1)
        return f"<{word} {number}>"


def is_call_id(key: str, holder: dict[str, Json]) -> bool:
    """Whether a member is the id of a tool call, in any dialect."""
    kind = holder.get("type")
    return key in CALL_ID_KEYS or (key == "id" and isinstance(kind, str) and kind in CALL_TYPES)
