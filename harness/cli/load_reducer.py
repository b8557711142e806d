"""The reducer of `harness load --validate`: it names the rules of streams that each answer broke.

    python -m harness.cli.load_reducer FOLDER WORKER [--echo]

It is `harness.load.reducer` with a check; only here may loading and validating meet.
"""

from collections.abc import Iterable

from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.load import reducer
from harness.validate import rules
from harness.validate.finding import Profile, Severity


def broken(exchange: Exchange, derived: Derived) -> Iterable[str]:
    """The rules that an answer broke, each once; those that real vendors break are none of them."""
    found = rules.check(exchange, derived)
    errors = (one.rule for one in found if one.severity(Profile.COMPATIBLE) is Severity.ERROR)
    return dict.fromkeys(errors)


if __name__ == "__main__":
    raise SystemExit(reducer.run("python -m harness.cli.load_reducer", broken))
