"""A finding: one place of an exchange that is not as the API promises.

The law of this file: a finding never holds text of a prompt or an answer. It names the rule, the place
(message, event number, JSON pointer) and the kind of the difference; values only where they are of a
closed vocabulary (types, enum values that the schema itself names, field names, HTTP statuses).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Profile(StrEnum):
    """How strict a validation is."""

    STRICT = "strict"
    COMPATIBLE = "compatible"
    DRIFT = "drift"


class Severity(StrEnum):
    """What a finding means: errors fail a check, warnings and drift are told, ignored ones are not."""

    ERROR = "error"
    WARNING = "warning"
    DRIFT = "drift"
    IGNORED = "ignored"


class Part(StrEnum):
    """The part of an exchange in which a finding is."""

    REQUEST = "request"
    RESPONSE = "response"
    EVENT = "event"
    STREAM = "stream"
    TRANSPORT = "transport"


class Kind(StrEnum):
    """The kinds of what a schema or a rule can find; severities are declared for kinds."""

    MISSING = "missing"
    TYPE = "type"
    VALUE = "value"
    UNKNOWN_VALUE = "unknown value"
    UNKNOWN_FIELD = "unknown field"
    OPENAI_ONLY = "absent outside openai"
    UNREADABLE = "unreadable"
    RULE = "rule"
    SOFT_RULE = "soft rule"


SEVERITIES: Mapping[Kind, Mapping[Profile, Severity]] = {
    Kind.MISSING: dict.fromkeys(Profile, Severity.ERROR),
    Kind.TYPE: dict.fromkeys(Profile, Severity.ERROR),
    Kind.VALUE: dict.fromkeys(Profile, Severity.ERROR),
    Kind.UNREADABLE: dict.fromkeys(Profile, Severity.ERROR),
    Kind.RULE: dict.fromkeys(Profile, Severity.ERROR),
    Kind.UNKNOWN_VALUE: {
        Profile.STRICT: Severity.ERROR,
        Profile.COMPATIBLE: Severity.DRIFT,
        Profile.DRIFT: Severity.DRIFT,
    },
    Kind.UNKNOWN_FIELD: {
        Profile.STRICT: Severity.ERROR,
        Profile.COMPATIBLE: Severity.IGNORED,
        Profile.DRIFT: Severity.DRIFT,
    },
    Kind.OPENAI_ONLY: {
        Profile.STRICT: Severity.ERROR,
        Profile.COMPATIBLE: Severity.IGNORED,
        Profile.DRIFT: Severity.DRIFT,
    },
    Kind.SOFT_RULE: {
        Profile.STRICT: Severity.ERROR,
        Profile.COMPATIBLE: Severity.WARNING,
        Profile.DRIFT: Severity.WARNING,
    },
}
"""Kind -> profile -> severity. Soft rules are those that real vendors are known to break."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `rule` is a name such as `chat.one-done` or `schema.missing`.

    `event` is the number of the stream's event, from 1 (None: no event). `pointer` is a JSON pointer
    into the message (RFC 6901). `message` says what was expected and what kind of thing was there.
    """

    rule: str
    kind: Kind
    part: Part
    message: str
    event: int | None = None
    pointer: str = ""

    def severity(self, profile: Profile) -> Severity:
        """What this finding means under a profile."""
        return SEVERITIES[self.kind][profile]
