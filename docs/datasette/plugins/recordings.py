"""A plugin of Datasette: what the metadata says of the database `recording` holds for every file it opens.

Datasette finds metadata by a database's name, which is that of its file; recordings are called as their
users like.
"""

from copy import deepcopy
from typing import Any

from datasette import hookimpl

NAME = "recording"


@hookimpl
def get_metadata(datasette: Any) -> dict[str, Any]:
    """The same metadata for every database; what the file says of one by its name comes before that."""
    known = (datasette._metadata_local.get("databases") or {}).get(NAME, {})
    return {"databases": {name: deepcopy(known) for name in datasette.databases if name != "_internal"}}
