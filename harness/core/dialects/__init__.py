"""Providers' protocols as rows of a table: where each says what.

The law of this package: a row reads parsed JSON of any shape into an `Answer` and never raises;
whatever has an unexpected type is as if it were not there. What a protocol looks like stands in its
row and nowhere else; a new one is a new row in `table.py`.
"""

from harness.core.dialects.answer import Answer, ToolCall, Usage
from harness.core.dialects.row import Dialect, Ending, Places, Route
from harness.core.dialects.table import BYTES, DIALECTS, recognise

__all__ = [
    "BYTES",
    "DIALECTS",
    "Answer",
    "Dialect",
    "Ending",
    "Places",
    "Route",
    "ToolCall",
    "Usage",
    "recognise",
]
