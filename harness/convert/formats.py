"""The files of other tools: which tool wrote one, and its exchanges, as sound as an interchange line."""

import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.convert import govcr, har, vcr
from harness.convert.interaction import Interaction, exchange_of
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import Line, describe, line_of

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Format(StrEnum):
    """What a file is."""

    LINES = "jsonl"
    VCR = "vcr"
    GO_VCR = "go-vcr"
    HAR = "har"
    FLOWS = "flows"


READERS: dict[Format, Callable[[Any], Iterator[Interaction]]] = {
    Format.VCR: vcr.interactions,
    Format.GO_VCR: govcr.interactions,
    Format.HAR: har.interactions,
}
"""Format -> what reads its parsed document."""

FAR = 9
"""Steps of a path into a document that are named."""

FLOW = b"0123456789"
"""What a file of mitmproxy flows begins with: the length of a netstring (https://tnetstrings.info)."""


class OldCassettes(Loader):  # type: ignore[misc, valid-type]
    """Reads what VCR.py wrote under Python 2 as well."""


OldCassettes.add_constructor(
    "tag:yaml.org,2002:python/unicode", lambda loader, node: loader.construct_scalar(node)
)


def format_of(path: Path, head: bytes) -> Format:
    """What a file is, by its first bytes; a document that begins like many is parsed."""
    if head[:1] and head[:1] in FLOW and b":" in head[:16]:
        return Format.FLOWS
    if is_line(head):
        return Format.LINES
    return kind_of(document_of(path), path)


def is_line(head: bytes) -> bool:
    """Whether the first line is an exchange of the interchange format, or was meant to be one."""
    text = head.lstrip()
    first, ended, _ = text.partition(b"\n")
    if not text or not first.startswith(b"{"):
        return not text
    try:
        value = json.loads(first)
    except ValueError:
        return first.startswith((b'{"request"', b'{"response"')) and not ended
    return "request" in value or not {"log", "interactions", "http_interactions"} & value.keys()


def kind_of(document: Any, path: Path) -> Format:
    """The format of a parsed document. BadInput: none that is known."""
    if isinstance(document, dict):
        if "log" in document:
            return Format.HAR
        if "http_interactions" in document:
            return Format.VCR
        if isinstance(document.get("interactions"), list):
            return kind_of_cassette(document["interactions"])
    known = ", ".join(Format)
    raise BadInput(f"{path} is no recording of a tool that is known: name its form with --format ({known})")


def kind_of_cassette(found: list[Any]) -> Format:
    """VCR.py says `uri` where go-vcr says `url`."""
    first = found[0] if found and isinstance(found[0], dict) else {}
    request = first.get("request")
    return Format.GO_VCR if isinstance(request, dict) and "url" in request else Format.VCR


def document_of(path: Path) -> Any:
    """A JSON or YAML file, parsed. BadInput: it is neither."""
    data = path.read_bytes()
    try:
        if data.lstrip()[:1] == b"{":
            return json.loads(data)
        return yaml.load(data, Loader=OldCassettes)  # noqa: S506  a safe loader, with one tag more
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise BadInput(f"{path}: {where}is no YAML: {getattr(error, 'problem', None) or 'damaged'}") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}: line {error.lineno}: is no JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path} is neither JSON nor YAML in UTF-8") from None


def exchanges_of(path: Path, kind: Format) -> Iterator[Exchange]:
    """The exchanges of a cassette or archive. BadInput names the interaction and the field."""
    try:
        found = READERS[kind](document_of(path))
    except ValidationError as error:
        raise BadInput(f"{path}: {describe(error, deepest=FAR)}") from None
    yield from checked(found, path)


def checked(found: Iterable[Interaction], path: Path) -> Iterator[Exchange]:
    """The exchanges of interactions, each sound."""
    number = 0
    iterator = iter(found)
    while True:
        number += 1
        try:
            interaction = next(iterator, None)
            if interaction is None:
                return
            exchange = Line.model_validate(line_of(exchange_of(interaction))).exchange()
        except ValidationError as error:
            raise BadInput(f"{path}: interaction {number}: {describe(error)}") from None
        except ValueError as error:
            raise BadInput(f"{path}: interaction {number}: {error}") from None
        yield exchange
