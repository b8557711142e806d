"""NVML's own Python module: loaded when it is needed, and what its errors mean.

The law of this file: the only import of `pynvml` (from the PyPI package nvidia-ml-py; the one that is
called pynvml is a deprecated shim). Everything else gets the module handed over as `api`.
"""

import math
from dataclasses import dataclass
from typing import Any

from harness.core.errors import MissingExtra
from harness.load.gpu.absent import Absent

type Api = Any
"""The module `pynvml`, after its `nvmlInit`; it has no types."""

LIBRARY = "libnvidia-ml.so.1"

LOST = frozenset({15, 16, 28})
"""NVML_ERROR_GPU_IS_LOST, _RESET_REQUIRED, _GPU_NOT_FOUND: nothing can be read of the card any more."""
FOR_GOOD = frozenset({2, 3, 4, 13, 22, 25, 26})
"""NVML_ERROR_INVALID_ARGUMENT, _NOT_SUPPORTED, _NO_PERMISSION, _FUNCTION_NOT_FOUND (an older driver),
_VGPU_ECC_NOT_SUPPORTED, _ARGUMENT_VERSION_MISMATCH, _DEPRECATED: asking again gives the same."""
NOT_SUPPORTED = 3
FUNCTION_NOT_FOUND = 13
TIMEOUT = 10


class NoDriver(Absent):
    """There is no NVIDIA driver, or it does not work."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of NVML in the place of a value: its code (nvml.h, nvmlReturn_t) and words."""

    code: int
    words: str

    @classmethod
    def of(cls, api: Api, code: int) -> "Failure":
        """The failure of a return code."""
        return cls(code, str(api.NVMLError(code)))


def load() -> Api:
    """The initialised module. Raises MissingExtra, or NoDriver in one line."""
    try:
        import pynvml  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtra("the GPU log", "load") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoDriver(no_driver(error.value, str(error))) from None
    return pynvml


def no_driver(code: int, words: str) -> str:
    """Why there is none.

    >>> no_driver(12, "NVML Shared Library Not Found")
    'no NVIDIA driver here (libnvidia-ml.so.1 not found)'
    """
    return f"no NVIDIA driver here ({f'{LIBRARY} not found' if code == 12 else words})"


def finite(value: float) -> float | None:
    """A value, None for what is none: GPM gives NaN for a span in which nothing was counted."""
    return value if math.isfinite(value) else None
