"""Record modes: what each does, with and without a file, in CI and elsewhere."""

import pytest

from harness.core.errors import BadInput
from harness.core.record_mode import Act, Asked, RecordMode, act_of, is_ci

TABLE = {
    RecordMode.NONE: (None, Act.REPLAY),
    RecordMode.ONCE: (Act.RENEW, Act.REPLAY),
    RecordMode.NEW_EPISODES: (Act.RENEW, Act.EXTEND),
    RecordMode.ALL: (Act.RENEW, Act.RENEW),
}


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("mode", RecordMode)
def test_what_a_mode_does(mode: RecordMode, exists: bool) -> None:
    wanted = TABLE[mode][exists]
    asked = Asked(mode, "--record-mode", ci=False)
    if wanted:
        assert act_of(asked, "a.db", exists=exists) is wanted
    else:
        with pytest.raises(BadInput, match=r"a\.db does not exist.*--record-mode once records it"):
            act_of(asked, "a.db", exists=exists)


@pytest.mark.parametrize("mode", RecordMode)
def test_ci_only_replays(mode: RecordMode) -> None:
    asked = Asked(mode, "--record-mode", ci=True)
    assert act_of(asked, "a.db", exists=True) is Act.REPLAY
    with pytest.raises(BadInput, match="nothing is recorded where CI is set"):
        act_of(asked, "a.db", exists=False)


@pytest.mark.parametrize(
    ("value", "ci"), [("true", True), ("1", True), ("", False), ("false", False), ("0", False), ("No", False)]
)
def test_what_says_that_this_is_ci(value: str, ci: bool) -> None:
    assert is_ci({"CI": value}) is ci
    assert not is_ci({})
