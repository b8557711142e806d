"""What every recording offers to its readers, whatever file it is in."""

from abc import ABC, abstractmethod
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Self

from harness.core.exchange import Exchange
from harness.core.redaction import Rules
from harness.store.capture import Capture
from harness.store.listing import Listed


class Recording(ABC):
    """A recording that is open for reading, which changes nothing on disk. Close it, or use `with`.

    Methods raise BadInput where the file turns out to be damaged.
    """

    path: Path

    @abstractmethod
    def captures(self) -> list[Capture]:
        """The captures by id; none where the file knows of none (JSON Lines)."""

    def count(self) -> int | None:
        """How many exchanges there are; None where only reading them all would tell."""
        return None

    @abstractmethod
    def exchanges(self, only: Container[int] | None = None) -> Iterator[Exchange]:
        """All exchanges, or `only` those of these ids, a few in memory at a time: in recorded order.

        That is the order of the lines of an interchange file, and of an import of it. A recorder's
        exchanges come by t0; captures one after the other, as they began.
        """

    @abstractmethod
    def exchange(self, exchange_id: int) -> Exchange:
        """One exchange; BadInput if there is none of that id."""

    @abstractmethod
    def listing(self) -> Iterator[Listed]:
        """All exchanges at a glance, in the order of `exchanges`."""

    @abstractmethod
    def ids_where(self, expression: str) -> frozenset[int]:
        """The ids of the exchanges for which an SQL expression over the tables is true.

        It can read the tables and nothing else. BadInput: it is no such expression.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file, and remove its temporary copy if there was one."""

    def rules(self) -> tuple[Rules, ...]:
        """The redaction rules of the captures, each once; none where harness did not redact."""
        return tuple({capture.redaction: None for capture in self.captures() if capture.redaction})

    def missing(self, exchange_id: int) -> str:
        """What to tell a user who asks for an exchange that is not there."""
        return f"{self.path} holds no exchange {exchange_id}: 'harness ls {self.path}' lists them"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
