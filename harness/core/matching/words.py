"""The words of matching that people choose from."""

from enum import StrEnum


class Kind(StrEnum):
    """What can be normalised (`harness.core.matching.normal`)."""

    UUIDS = "uuids"
    TIMESTAMPS = "timestamps"
    DATES = "dates"
    TOOL_CALL_IDS = "tool-call-ids"


class Preset(StrEnum):
    """How much of the dialects' own habits is in force (`harness.core.matching.presets`)."""

    STRICT = "strict"
    DEFAULTS = "defaults"
    LENIENT = "lenient"


class Repeat(StrEnum):
    """What equal requests get one after another (`harness.replay.cursors`)."""

    SEQUENCE = "sequence"
    LAST = "last"
    CYCLE = "cycle"
    RANDOM = "random"


class OnMiss(StrEnum):
    """What a request gets that matches nothing."""

    FAIL = "fail"
    RECORD = "record"
    SIMULATE = "simulate"
