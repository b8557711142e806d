"""The options of `harness replay` that are about its processes and its admin pages."""

import os
from pathlib import Path
from typing import Annotated

import typer

from harness.core.errors import BadInput

KEPT = 1000

Workers = Annotated[
    int, typer.Option(min=1, max=256, metavar="N", help="Processes that serve, on one port, as one server.")
]
AdminPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65535,
        show_default=False,
        help="Port of the admin pages (0: any free one). [default: the data port]",
    ),
]
Journal = Annotated[
    int,
    typer.Option(metavar="N", min=0, max=1_000_000, help="Tell the latest N requests at /__admin/requests."),
]


def check_alone(workers: int, write_log: Path | None) -> None:
    """BadInput for what several workers cannot do, or this system cannot."""
    if workers > 1 and write_log is not None:
        raise BadInput("--write-log is of one process: leave --workers away")
    if workers > 1 and not hasattr(os, "fork"):
        raise BadInput("--workers needs a system that forks processes: leave it away")
