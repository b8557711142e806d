"""Record modes, with the meaning that they have in VCR.py, and what follows from one for a recording.

Pure: whether the file is there and what the environment says is handed in.

| mode | no file yet | file there |
|---|---|---|
| `none` | cannot be | replayed; what is new misses |
| `once` | recorded | replayed; what is new misses |
| `new_episodes` | recorded | replayed; what is new is recorded |
| `all` | recorded | recorded anew; the old one stays until the new one is whole |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from harness.core.errors import BadInput

UNSET = frozenset({"", "0", "false", "no"})
"""Values of `CI` that say that this is none."""


class RecordMode(StrEnum):
    """When something is recorded."""

    NONE = "none"
    ONCE = "once"
    NEW_EPISODES = "new_episodes"
    ALL = "all"


class Act(Enum):
    """What is done with a recording."""

    REPLAY = "replay"
    EXTEND = "replay, and record what misses"
    RENEW = "record into a new file, which takes the name when it is whole"
    ADD = "record into the file"


ACTS = {
    RecordMode.ONCE: (Act.RENEW, Act.REPLAY),
    RecordMode.NEW_EPISODES: (Act.RENEW, Act.EXTEND),
    RecordMode.ALL: (Act.RENEW, Act.RENEW),
}
"""Mode -> what is done where there is no file yet, and where there is one."""


def is_ci(environment: Mapping[str, str]) -> bool:
    """Whether `CI` is set, where nothing is ever recorded."""
    return environment.get("CI", "").lower() not in UNSET


@dataclass(frozen=True, slots=True)
class Asked:
    """A mode, the option that asks for one, and whether this is CI."""

    mode: RecordMode
    option: str
    ci: bool


def act_of(asked: Asked, recording: str, *, exists: bool) -> Act:
    """What a mode asks for. BadInput: there is no such recording, and none may be made.

    >>> act_of(Asked(RecordMode.ONCE, "--record-mode", ci=False), "chat.db", exists=False)
    <Act.RENEW: 'record into a new file, which takes the name when it is whole'>
    """
    if not asked.ci and asked.mode is not RecordMode.NONE:
        return ACTS[asked.mode][exists]
    if exists:
        return Act.REPLAY
    if asked.ci:
        raise BadInput(
            f"{recording} does not exist, and nothing is recorded where CI is set: do it elsewhere"
        )
    raise BadInput(f"{recording} does not exist: is the path right? {asked.option} once records it")
