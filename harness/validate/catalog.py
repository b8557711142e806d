"""The catalog of schemas: the index that routes, the schemas themselves, and their overlays.

The law of this file: a file is read when it is first asked for, and once. Whatever is wrong with one is
`BadInput` in one line that names it.
"""

import json
import re
from collections.abc import Iterable
from copy import deepcopy
from itertools import chain
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, header, path_of
from harness.validate.forms import Schema, fault
from harness.validate.overlays import Overlay, apply
from harness.validate.routes import Route, Routes, Row
from harness.validate.vendors import Signs, Vendor, overlay_of

HERE = Path(__file__).resolve().parent
FOLDERS = (HERE / "schemas", HERE.parents[1] / "schemas")
"""Where the schemas are: in an installed package, in a checkout."""

REPAIR = "install traffic-harness again, or run `make schemas` in a checkout"
OTHER_FOLDER = "is --schemas the right folder?"


class Index(BaseModel):
    """What `index.json` holds. `base` is what may stand before a resource in a path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    routes: tuple[Row, ...]
    vendors: tuple[Signs, ...]
    overlays: tuple[str, ...]


class Catalog:
    """All schemas of a folder, read as they are needed. Not for several threads at once.

    `overlays` are the names that may be asked for.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder = folder
        self.overlays = index.overlays
        self._index = index
        self._routes = Routes(index.base, index.routes)
        self._vendors = [Vendor.of(signs) for signs in index.vendors]
        self._documents: dict[str, Schema] = {}
        self._overlays: dict[str, Overlay] = {}
        self._fitted: dict[tuple[str, str], Schema] = {}

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The catalog of a folder; of the schemas that come with harness by default. BadInput."""
        place = folder or next((known for known in FOLDERS if known.is_dir()), FOLDERS[0])
        path = place / "index.json"
        try:
            return cls(place, Index.model_validate(_read(path)))
        except ValidationError as error:
            raise _damaged(path, _first_fault(error)) from error
        except re.error as error:
            raise _damaged(path, f"{error.pattern!r} is no regular expression") from error

    def check(self) -> None:
        """Read every schema, under every overlay: BadInput for the first fault of any file (0.15 s)."""
        for signs in self._index.vendors:
            self.require(signs.overlay)
        for overlay in self.overlays:
            ruled = (rule.schemas for of in self._order(overlay) for rule in self._overlay(of).rules)
            for name in dict.fromkeys(chain(*(row.schemas for row in self._index.routes), *ruled)):
                self.schema(name, overlay)

    def require(self, overlay: str) -> None:
        """BadInput for an overlay that is none of those that may be asked for."""
        if overlay not in self.overlays:
            raise BadInput(f"there is no overlay '{overlay}'; there are {', '.join(self.overlays)}")

    def route(self, method: str, path: str, status: int | None, content_type: str | None) -> Route | None:
        """The schemas of a call, by method, path, and the answer's status and type; None: unknown."""
        return self._routes.route(method, path, status, content_type)

    def route_for(self, exchange: Exchange) -> Route | None:
        """The schemas of an exchange: by the upstream's path, then by the client's."""
        response = exchange.response
        status = response.status if response else None
        media_type = header(response.headers, "content-type") if response else None
        request = exchange.request
        paths = (path_of(request.url), request.path)
        found = (self.route(request.method, path, status, media_type) for path in paths)
        return next((route for route in found if route), None)

    def overlay_for(self, exchange: Exchange) -> str:
        """The overlay of whoever answered, by host or by what the response shows."""
        return overlay_of(self._vendors, exchange)

    def schema(self, name: str, overlay: str) -> Schema:
        """The document to validate with: a schema under the rules of an overlay. Not to be changed.

        BadInput for an unknown overlay, and for a file that is missing or damaged.
        """
        if (name, overlay) not in self._fitted:
            self._fitted[name, overlay] = self._fit(name, overlay)
        return self._fitted[name, overlay]

    def _fit(self, name: str, overlay: str) -> Schema:
        rules = [(of, rule) for of in self._order(overlay) for rule in self._overlay(of).rules]
        document = self._document(name)
        applying = [(of, rule) for of, rule in rules if name in rule.schemas]
        document = deepcopy(document) if applying else document
        for of, rule in applying:
            try:
                apply(document, rule)
            except LookupError as error:
                raise _damaged(self._overlay_path(of), f"in {name} {error.args[0]}") from error
        return document

    def _order(self, overlay: str) -> Iterable[str]:
        """An overlay after all that it extends, each once."""
        self.require(overlay)
        found: dict[str, None] = {}
        self._gather(overlay, found)
        return found

    def _gather(self, overlay: str, found: dict[str, None]) -> None:
        found[overlay] = None  # now, so that a circle ends, and once more behind what it extends
        for name in self._overlay(overlay).extends:
            if name not in found:
                self._gather(name, found)
        found[overlay] = found.pop(overlay)

    def _overlay(self, name: str) -> Overlay:
        if name not in self._overlays:
            path = self._overlay_path(name)
            try:
                self._overlays[name] = Overlay.model_validate(_read(path))
            except ValidationError as error:
                raise _damaged(path, _first_fault(error)) from error
        return self._overlays[name]

    def _overlay_path(self, name: str) -> Path:
        return self.folder / "overlays" / f"{name}.json"

    def _document(self, name: str) -> Schema:
        if name not in self._documents:
            path = self.folder / f"{name}.json"
            document = _read(path)
            found = fault(document)
            if found:
                raise _damaged(path, found)
            self._documents[name] = document
        return self._documents[name]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BadInput(f"cannot read the schema file {path}: {error.strerror}; {_advice(path)}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "it is no JSON") from error


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"the schema file {path} is damaged: {what}; {_advice(path)}")


def _advice(path: Path) -> str:
    own = any(path.resolve().is_relative_to(folder) for folder in FOLDERS)
    return REPAIR if own else OTHER_FOLDER


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    what = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {what}"
