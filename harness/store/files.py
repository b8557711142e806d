"""Files that commands write: whole or not at all, and never in place of a database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.core.errors import BadInput
from harness.store.open import head_of
from harness.store.snapshot import MAGIC


@contextmanager
def replaced(output: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only when it is whole. BadInput where it cannot be written."""
    check_replaceable(output)
    temporary = output.resolve().with_name(f".{output.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(output.resolve())
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(output: Path) -> None:
    """BadInput for a missing folder, what is no plain file, and a database, which nobody means to replace."""
    if not output.resolve().parent.is_dir():
        raise BadInput(f"{output} cannot be written: there is no folder {output.parent}")
    if output.exists() and not output.is_file():
        raise BadInput(f"{output} is no plain file: name one that can be replaced")
    if output.exists() and head_of(output).startswith(MAGIC):
        raise BadInput(f"{output} is a database: name another file")
