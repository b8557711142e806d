"""Validating a recording: one exchange in memory at a time, its events derived once."""

from harness.core.derive import messages_of
from harness.store.recording import Recording
from harness.validate.checker import Checker
from harness.validate.finding import Profile
from harness.validate.outline import Progress
from harness.validate.report import Report
from harness.validate.spool import Spool


def validate(
    recording: Recording,
    checker: Checker,
    profile: Profile,
    *,
    spool: Spool | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Report:
    """Check all exchanges of a recording; what is told under the profile goes into the spool as well.

    Raises BadInput where the recording or a schema turns out to be damaged.
    """
    report, total = Report(profile), recording.count()
    for exchange in recording.exchanges():
        messages = messages_of(exchange)
        findings = checker.exchange(exchange, messages)
        checked = checker.catalog.route_for(exchange) is not None
        report.add(exchange, findings, events=len(messages.events), checked=checked)
        if spool:
            spool.add(exchange.id, report.told(findings))
        progress(report.exchanges, total)
    return report
