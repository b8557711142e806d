"""The options of a GPU log beside another command, and what they ask for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput

if TYPE_CHECKING:
    from harness.load.gpu.source import Asked

Source = Annotated[
    str, typer.Option(metavar="nvml|URL|off", help="Log what GPUs do meanwhile: this machine's, or a URL's.")
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="HZ", help="Samples of GPUs a second, 1 to 10. [default: 5]", show_default=False),
]
Gpus = Annotated[
    list[str] | None,
    typer.Option(metavar="GPU", help="GPUs by index or UUID; several, or with commas. [default: all]"),
]


def asked(source: str, rate_hz: float | None, gpus: Sequence[str] | None) -> "Asked":
    """What is asked for (`Asked.checked` says whether it can be had). BadInput: a contradiction."""
    from harness.load.gpu.open import OFF  # noqa: PLC0415
    from harness.load.gpu.source import RATE_HZ, Asked  # noqa: PLC0415

    for flag, value in (("--gpu-rate", rate_hz), ("--gpus", gpus)):
        if source == OFF and value:
            raise BadInput(f"{flag} needs --gpu, which says where the GPUs are: nvml, or a URL")
    return Asked(source, RATE_HZ if rate_hz is None else rate_hz, tuple(gpus or ()))
