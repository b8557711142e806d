"""`harness redact`: mask secrets in a recording that was made without it, or by more rules."""

import os
import sys
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from harness.cli import redact_options
from harness.cli.editing import Output, RecordingPath
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.core.exchange import Exchange
    from harness.core.masks import Tally
    from harness.core.redaction import Redactor, Rules


def redact(
    recording: RecordingPath,
    redact_header: redact_options.Header = None,
    redact_query: redact_options.Query = None,
    redact_field: redact_options.Field = None,
    redact_json: redact_options.Json = None,
    redact_pattern: redact_options.Pattern = None,
    redact_email: redact_options.Email = False,
    output: Output = None,
) -> None:
    """Mask the secrets of a recording, as the recorder does, by its default rules and by these.

    Masked are also the values of this environment's *_API_KEY variables, and wherever they stand the
    credentials that the recording's own headers and queries show. Masks keep length and form, so
    that times stay true; replay applies the same rules to requests. `harness scan` says what is left.
    """
    from harness.store.editing import changed  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    rules = redact_options.rules(
        redact_header, redact_query, redact_field, redact_json, redact_pattern, email=redact_email
    )
    redactor = redactor_of(rules)
    with open_recording(recording) as opened:
        redactor.learn_all(opened.exchanges())
    tallies: dict[int, Tally] = defaultdict(Counter)

    def masked(exchange: "Exchange") -> "Exchange":
        done, _, found = redactor.whole(exchange)
        tallies[exchange.capture] += found
        return done

    target = output or recording
    count = changed(recording, masked, target, lambda editor: editor.note_redaction(redactor, tallies))
    print(f"{target}: {counted(count, 'exchange')} changed", file=sys.stderr)
    if total := sum(tallies.values(), Counter[str]()):
        print(redact_options.masked_line(total, as_json=False, by="harness redact"), file=sys.stderr)


def redactor_of(rules: "Rules") -> "Redactor":
    """What masks by these rules, and knows the secrets of this environment."""
    from harness.core.redaction import Redactor  # noqa: PLC0415
    from harness.core.run_secrets import RunSecrets, secrets_of  # noqa: PLC0415

    return Redactor(rules, RunSecrets(secrets_of(os.environ)))
