"""What WebDAV (RFC 4918) says about collections: requests for listings, and their answers. Pure.

The XML of a server is read without document types, and so without entities of its own making.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

from atomic_manifest.store.conditions import ETag

PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/>'
    b"<getcontentlength/><getetag/><getlastmodified/></prop></propfind>"
)
"""The body of a request for what a listing needs."""

_DAV = "DAV: "
_OK = " 200 "


@dataclass(frozen=True, slots=True)
class Resource:
    """A member of a collection, or the collection.

    Attributes:
        path: Decoded, as the server names it, without a trailing slash.
        is_collection: Whether it has members.
        size: Bytes.
        etag: The current one, if told.
        last_modified: With time zone, if told.
    """

    path: str
    is_collection: bool
    size: int
    etag: ETag | None
    last_modified: datetime | None


def read_multistatus(body: bytes) -> list[Resource]:
    """Read the answer to `PROPFIND`.

    Raises:
        ValueError: If it is none.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(body, True)  # noqa: FBT003 - the last piece
    except expat.ExpatError as error:
        raise ValueError("not XML") from error
    if not reader.is_multistatus:
        raise ValueError("not a multistatus")
    return reader.found


@dataclass
class _Response:
    href: str = ""
    status: str = _OK
    found: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Takes what the parser sees."""

    def __init__(self) -> None:
        self.is_multistatus = False
        self.found: list[Resource] = []
        self._response = _Response()
        self._properties: dict[str, str] = {}
        self._status = _OK
        self._open: list[str] = []
        self._text: list[str] = []

    def doctype(self, *_: object) -> None:
        raise ValueError("a document type in an answer of WebDAV")

    def start(self, name: str, _: Mapping[str, str]) -> None:
        local = name.removeprefix(_DAV)
        if not self._open:
            self.is_multistatus = local == "multistatus"
        elif local == "response":
            self._response = _Response()
        elif local == "propstat":
            self._properties, self._status = {}, _OK
        elif local == "collection" and self._open[-1] == "resourcetype":
            self._properties["collection"] = "yes"
        self._open.append(local)
        self._text.clear()

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, _: str) -> None:
        local = self._open.pop()
        parent = self._open[-1] if self._open else ""
        said = "".join(self._text).strip()
        self._text.clear()
        match parent, local:
            case "response", "href":
                self._response.href = said
            case "propstat", "status":
                self._status = f"{said} "
            case "response", "status":
                self._response.status = f"{said} "
            case "prop", _ if said:
                self._properties[local] = said
            case "response", "propstat" if _OK in self._status:
                self._response.found |= self._properties
            case "multistatus", "response" if _OK in self._response.status:
                self.found.append(_resource(self._response))


def _resource(response: _Response) -> Resource:
    found = response.found
    size, etag = found.get("getcontentlength", ""), found.get("getetag")
    return Resource(
        unquote(urlsplit(response.href).path).rstrip("/"),
        "collection" in found,
        int(size) if size.isdecimal() else 0,
        ETag.parse(etag) if etag else None,
        moment(found.get("getlastmodified")),
    )


def moment(text: str | None) -> datetime | None:
    """Read an HTTP date (RFC 9110 §5.6.7)."""
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
