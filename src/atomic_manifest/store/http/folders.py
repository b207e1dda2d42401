"""Folders of a WebDAV server: made when a write says that they are missing, and read one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote, urlsplit

from atomic_manifest.errors import StoreError
from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.http.client import HttpClient
from atomic_manifest.store.http.webdav import PROPFIND, Resource, read_multistatus

_CREATED, _MULTISTATUS = 201, 207
_MISSING = frozenset({404, 410})
_NO_PARENT = frozenset({404, 409})
_REDIRECTS = frozenset({301, 302, 307, 308})
_THERE = _REDIRECTS | {405}
_NO_ANSWER_TO_IT = range(200, 300)
_NOT_WEBDAV = frozenset({400, 403, 405, 501})


class Kind(Enum):
    """What is at a place."""

    NOTHING = "nothing"
    OBJECT = "an object"
    FOLDER = "a folder"
    UNKNOWN = "unknown, to a server without WebDAV"


@dataclass(frozen=True, slots=True)
class Folders:
    """Asks one server.

    Attributes:
        client: Sends the requests.
        server: Scheme and host.
    """

    client: HttpClient
    server: str

    def kind(self, place: str) -> Kind:
        """What is at an encoded path.

        Raises:
            CallFailed: If the server does not tell.
        """
        try:
            found = self._find(place, depth="0")
        except CallFailed as failed:
            if failed.status in _MISSING:
                return Kind.NOTHING
            if failed.status in _NOT_WEBDAV or failed.status in _NO_ANSWER_TO_IT:
                return Kind.UNKNOWN
            if failed.status in _REDIRECTS:  # to the same with a slash
                return Kind.FOLDER
            raise
        return Kind.FOLDER if any(each.is_collection for each in found) else Kind.OBJECT

    def make_parents(self, place: str) -> None:
        """Make the folders above an encoded path, as far up as they are missing.

        Raises:
            CallFailed: If the server declines.
        """
        parent = place.rstrip("/").rpartition("/")[0]
        if not parent:
            return
        status = self.client.send("MKCOL", f"{self.server}{parent}/").status
        if status in _NO_PARENT:
            self.make_parents(parent)
            status = self.client.send("MKCOL", f"{self.server}{parent}/").status
        if status != _CREATED and status not in _THERE:
            raise CallFailed(status)

    def walk(self, place: str, below: str, after: str) -> Iterator[ObjectMeta]:
        """Give all objects in the folder at an encoded path, in order of path.

        Args:
            place: The folder, with a trailing slash.
            below: What their paths start with.
            after: They are greater than this.

        Raises:
            CallFailed: If the server does not tell.
        """
        for name, found in sorted(self._members(place)):
            path = below + name
            if found.is_collection:
                if path > after or after.startswith(path):
                    yield from self.walk(place + quote(name, safe="/~"), path, after)
            elif path > after:
                yield ObjectMeta(path, found.size, found.etag, found.last_modified)

    def _members(self, place: str) -> list[tuple[str, Resource]]:
        """Members with their names; a folder's ends with a slash, as it sorts."""
        try:
            found = self._find(place, depth="1")
        except CallFailed as failed:
            if failed.status in _MISSING:
                return []
            raise
        asked = unquote(place).rstrip("/")
        itself = asked if any(each.path == asked for each in found) else _shortest(found)
        return [
            (each.path.rpartition("/")[2] + "/" * each.is_collection, each)
            for each in found
            if each.path != itself
        ]

    def _find(self, place: str, *, depth: str) -> list[Resource]:
        headers = {"Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        answer = self.client.send("PROPFIND", self.server + place, headers, PROPFIND)
        if answer.status != _MULTISTATUS:
            raise answer.failed
        try:
            return read_multistatus(answer.body)
        except ValueError as error:
            raise StoreError(
                f"the server's answer to PROPFIND is {error}", path=unquote(urlsplit(place).path)
            ) from None


def _shortest(found: list[Resource]) -> str:
    """The folder itself, of a server that knows it by another path than was asked for."""
    return min((each.path for each in found), key=lambda path: path.count("/"), default="")
