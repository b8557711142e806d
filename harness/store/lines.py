"""A recording in interchange JSON Lines, open for reading."""

from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import from_line
from harness.store.capture import Capture
from harness.store.listing import Listed, listed
from harness.store.recording import Recording


class LinesRecording(Recording):
    """The exchanges of a file, numbered from 1 in the order of its lines; blank lines do not count."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def close(self) -> None:
        """Nothing is held between reads."""

    def captures(self) -> list[Capture]:
        """None: the format does not speak of captures."""
        return []

    def exchanges(self, only: Container[int] | None = None) -> Iterator[Exchange]:
        """Exchanges in the order of the lines. BadInput names line (blanks count) and field."""
        exchange_id = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    exchange_id += 1
                    if only is None or exchange_id in only:
                        yield replace(self._read(line, number), id=exchange_id)

    def exchange(self, exchange_id: int) -> Exchange:
        """One exchange; the lines before it are read."""
        for exchange in self.exchanges((exchange_id,)):
            return exchange
        raise BadInput(self.missing(exchange_id))

    def listing(self) -> Iterator[Listed]:
        """All exchanges at a glance, derived on the way."""
        for exchange in self.exchanges():
            yield listed(exchange, derive(exchange))

    def ids_where(self, expression: str) -> frozenset[int]:
        """As of a database, from a temporary one with the same exchanges."""
        from harness.store.database import DatabaseRecording  # noqa: PLC0415  lines alone need no SQLite
        from harness.store.writer import RecordingWriter  # noqa: PLC0415

        with TemporaryDirectory(prefix="harness-") as folder:
            path = Path(folder) / "lines.db"
            with RecordingWriter(path) as writer:
                writer.start_capture(Capture(""))
                for exchange in self.exchanges():  # they get the numbers of their lines
                    writer.add(exchange, derive(exchange))
            with DatabaseRecording(path) as stored:
                return stored.ids_where(expression)

    def _read(self, line: bytes, number: int) -> Exchange:
        try:
            return from_line(line.decode(), number)
        except UnicodeDecodeError:
            raise BadInput(f"{self.path}: line {number}: is no UTF-8") from None
        except BadInput as error:
            raise BadInput(f"{self.path}: {error}") from None
