"""`harness merge`: several recordings become one."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.core.errors import BadInput
from harness.core.visible import counted


def merge(
    recordings: Annotated[
        list[Path], typer.Argument(help="Recordings (.db) or interchange files (.jsonl), in their order.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Recording to write, which must not exist.")],
) -> None:
    """Join recordings into a new one, with their captures, GPU logs and load runs, in their order.

    An interchange file becomes a capture; to an output that ends in .jsonl, only exchanges go.
    """
    from harness.store.editing import merged  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    if output.exists():
        raise BadInput(f"{output} exists: name a new file")
    merged(recordings, output)
    with open_recording(output) as opened:
        count = sum(1 for _ in opened.listing())
    print(f"{output}: {counted(count, 'exchange')}", file=sys.stderr)
