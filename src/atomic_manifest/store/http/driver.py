"""Any server that takes PUT with If-Match and If-None-Match (RFC 9110), such as one of WebDAV.

| wanted | asked of the server |
| --- | --- |
| read | GET and HEAD, with Range and If-None-Match |
| write | PUT; with `If-None-Match: *`, or If-Match |
| delete | DELETE, with If-Match; `Depth: 0`, so that it is never of a folder and all in it |
| copy | COPY (WebDAV): `Overwrite: F` if absent, If-Match for the source, If for the destination |
| list | PROPFIND (WebDAV) of one folder after the other |

Invariants:

* One call sends a request once (see `http.client`). Only where the answer to a PUT says that the
  folder is missing (409, or 404) are folders made by MKCOL, and the PUT sent again: RFC 4918 §9.7.1.
* A server is trusted to evaluate a condition when it writes. Many look first and write after, or do
  not look at all; the probe tells.
* ETags are the server's. One that it gives as weak never satisfies If-Match; the server is not asked.
* Redirects are followed by nothing: another place has other ETags.

Error semantics, besides those of `answers`: 428 says that the server takes no write without a
condition. User metadata is not kept. An upload waits on the local disk, since a PUT is of a whole
object.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import IO
from urllib.parse import quote, urlsplit

from atomic_manifest.errors import (
    InvalidPath,
    NotFound,
    NotModified,
    StoreError,
    StoreUnavailable,
    UnsupportedByStore,
)
from atomic_manifest.store.addresses import url_fault
from atomic_manifest.store.answers import (
    CallFailed,
    can_hold,
    failed_request,
    strong,
    write_outcome,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import (
    Contended,
    Data,
    Deleted,
    DeleteOutcome,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
    check_path,
    refuse_pickling,
)
from atomic_manifest.store.http.client import Answer, HttpClient
from atomic_manifest.store.http.folders import Folders, Kind
from atomic_manifest.store.http.headers import authorization, condition, content_range, meta, unless
from atomic_manifest.store.keys import check_range, check_start, folder
from atomic_manifest.store.spool import SpooledUpload

_OCTETS = {"Content-Type": "application/octet-stream"}
_PARTIAL, _MISSING, _CONFLICT = 206, 404, 409
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE_IN_ROOT = "/%:@!$&'()*+,;=~"


class HttpDriver:
    """A folder of a server.

    Args:
        url: Of the folder, percent-encoded as URLs are; without user, query and fragment.
        headers: To send with every request, such as an API key.
        auth: User and password for Basic authentication, or a bearer token.
        timeout: Seconds to wait for each part of an answer.
        connect_timeout: Seconds to wait for a connection.
        ca_bundle: A file of certificates to trust instead of the system's.
        proxy_url: Of an HTTP proxy; none is taken from the environment.

    Raises:
        InvalidPath: If `url` is no such URL.
        InvalidStorageOption: If another argument cannot be used.
    """

    keeps_metadata = False
    lists_in_order = True
    _server, _root = "", ""  # for the `repr` of one that was refused

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | str | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        ca_bundle: str | None = None,
        proxy_url: str | None = None,
    ) -> None:
        scheme, slashes, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        wrong = url_fault(f"{scheme.lower()}{slashes}{authority}")
        if wrong is not None or "?" in path or "#" in path:
            # Not shown: a user, a query or a fragment can be a secret.
            wrong = wrong or "has a query or a fragment (? or #)"
            raise InvalidPath(
                f"the URL of an HTTP store {wrong}; see its options `auth` and `headers`", path=""
            )
        self._server = f"{scheme.lower()}://{authority}"
        self._root = quote(f"{slash}{path}".rstrip("/"), safe=_SAFE_IN_ROOT) + "/"
        self._client = HttpClient(
            {**(headers or {}), **authorization(auth)},
            timeout=timeout,
            connect_timeout=connect_timeout,
            ca_bundle=ca_bundle,
            proxy_url=proxy_url,
        )
        self._folders = Folders(self._client, self._server)
        self._copies: str | None = None

    @property
    def url(self) -> str:
        """See `Driver.url`."""
        return f"{self._server}{self._root}".rstrip("/")

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"HttpDriver({self.url!r})"

    @property
    def endpoint(self) -> str:
        """The service, for what is remembered of it."""
        return self._server

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """See `Driver.get`. A server may ignore the range; then what was not asked for is dropped."""
        place = self._place(path)
        start, end = (0, None) if range is None else check_range(path, range)
        headers = unless(if_none_match)
        if end is not None:
            headers["Range"] = f"bytes={start}-{end - 1}"
        answer = self._read("GET", path, place, headers)
        if answer.status == _PARTIAL:
            first, size = content_range(path, answer)
            if first != start:
                raise StoreError(f"{path}: the server sent another range", path=path)
            return Object(answer.body, meta(path, size, answer))
        found = meta(path, len(answer.body), answer)
        if if_none_match is not None and found.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        if end is not None:
            check_start(path, start, found.size)
        return Object(answer.body[start:end], found)

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """See `Driver.head`."""
        answer = self._read("HEAD", path, self._place(path), unless(if_none_match))
        size = answer.headers.get("Content-Length", "")
        if not size.isdecimal():  # the server does not know it before it sends the bytes
            return self.get(path, if_none_match=if_none_match).meta
        found = meta(path, int(size), answer)
        if if_none_match is not None and found.etag == if_none_match:
            raise NotModified(f"{path} has not changed", path=path)
        return found

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """See `Driver.put`. `metadata` is not kept."""
        del metadata
        return self._put(path, data, memoryview(data).nbytes, when)

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> SpooledUpload:
        """See `Driver.start_upload`. `metadata` is not kept; one part is held in memory."""
        del max_in_flight, metadata
        check_path(path)
        return SpooledUpload(lambda file, size: self._put(path, file, size, when), part_size)

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """See `Driver.copy`. Of WebDAV servers alone; a match of the destination needs class 2."""
        origin, place = self._place(source), self._place(path)
        if isinstance(when, IfMatch) and when.any:
            raise UnsupportedByStore(
                f"{path}: WebDAV has no word for {when!r} of a copy", path=path
            )
        if not (can_hold(when) and can_hold(source_when)):
            return Refused()
        found = self.head(source)
        self._check_copies(path, when)
        headers = {"Destination": self._server + place, "Depth": "0"}
        headers["Overwrite"] = "F" if isinstance(when, IfAbsent) else "T"
        if isinstance(when, IfMatch):
            tags = " ".join(f"([{tag.quoted}])" for tag in strong(when).etags)
            headers["If"] = f"<{self._server}{place}> {tags}"
        if source_when is not None:
            headers |= condition(source_when)
        outcome = self._write("COPY", path, origin, place, headers, when)
        if isinstance(outcome, Answer):
            return Written(ObjectMeta(path, found.size, outcome.etag))
        return outcome

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """See `Driver.delete`. Looks first whether it is a folder, which some servers delete whole."""
        place = self._place(path)
        if version is not None:
            raise UnsupportedByStore(f"{path}: HTTP knows no versions", path=path)
        if not can_hold(when):
            return Refused()
        try:
            if self._folders.kind(place) is Kind.FOLDER:
                return Deleted() if when is None else Refused()
            answer = self._client.send(
                "DELETE", self._server + place, {"Depth": "0", **condition(when)}
            )
            if answer.status // 100 == 2:  # noqa: PLR2004
                return Deleted()
            failure = answer.failed
        except CallFailed as failed:
            failure = failed
        if failure.status == _MISSING:
            return Deleted() if when is None else Refused()
        return self._outcome(path, when, failure)

    def delete_many(self, paths: Iterable[str]) -> None:
        """See `Driver.delete_many`."""
        for path in paths:
            match self.delete(path):
                case Unanswered(cause):
                    raise cause
                case Contended():
                    raise StoreUnavailable(f"{path}: the server is busy with it", path=path)

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """See `Driver.list`. Of WebDAV servers alone; one folder is read at a time."""
        below = folder(prefix)
        return self._listed(prefix, below, start_after or "")

    def _listed(self, prefix: str, below: str, after: str) -> Iterator[ObjectMeta]:
        try:
            yield from self._folders.walk(self._root + quote(below, safe="/~"), below, after)
        except CallFailed as failed:
            error = failed_request(self._server, prefix, failed)
        else:
            return
        raise error

    def _put(
        self, path: str, body: Data | IO[bytes], size: int, when: Condition | None
    ) -> WriteOutcome:
        place = self._place(path)
        if not can_hold(when):
            return Refused()
        headers = {**_OCTETS, "Content-Length": str(size), **condition(when)}
        outcome = self._write("PUT", path, place, place, headers, when, body)
        if isinstance(outcome, Answer):
            return Written(ObjectMeta(path, size, outcome.etag))
        return outcome

    def _write(
        self,
        method: str,
        path: str,
        asked: str,
        place: str,
        headers: Mapping[str, str],
        when: Condition | None,
        body: Data | IO[bytes] | None = None,
    ) -> Answer | Refused | Contended | Unanswered:
        """Send a write, and again if only the folder of `place` was missing."""
        try:
            answer = self._client.send(method, self._server + asked, headers, body)
            if answer.status == _CONFLICT or (answer.status == _MISSING and method == "PUT"):
                if isinstance(when, IfMatch):
                    return self._unmatched(path, place, answer)
                self._folders.make_parents(place)
                if body is not None and not isinstance(body, bytes | bytearray | memoryview):
                    body.seek(0)
                answer = self._client.send(method, self._server + asked, headers, body)
                self._check_parents(path, place, answer)
            failure = answer.failed
        except CallFailed as failed:
            return self._outcome(path, when, failed)
        if answer.status // 100 == 2:  # noqa: PLR2004
            return answer
        if answer.status == _MISSING and not isinstance(when, IfMatch):
            raise StoreError(f"{path}: {self._server} has no place for it", path=path)
        return self._outcome(path, when, failure)

    def _unmatched(self, path: str, place: str, answer: Answer) -> Refused | Contended | Unanswered:
        """A match that was not evaluated: without the folder, there is no object either."""
        parent = place.rpartition("/")[0]
        if answer.status == _MISSING or self._folders.kind(f"{parent}/") is Kind.NOTHING:
            return Refused()
        return self._outcome(path, None, answer.failed)

    def _check_parents(self, path: str, place: str, answer: Answer) -> None:
        if answer.status != _CONFLICT:
            return
        if self._folders.kind(place.rpartition("/")[0]) is Kind.OBJECT:
            raise StoreError(f"{path}: what should be its folder is an object", path=path)

    def _read(self, method: str, path: str, place: str, headers: Mapping[str, str]) -> Answer:
        try:
            answer = self._client.send(method, self._server + place, headers)
            if answer.status // 100 == 2 and answer.etag is not None:  # noqa: PLR2004
                return answer
            if answer.status in _REDIRECTS:
                self._check_redirect(path, place, answer)
            # Some show a page instead of a folder, and some forbid it.
            if answer.status in (200, 403, 405) and self._folders.kind(place) is Kind.FOLDER:
                raise NotFound(f"{path} is a folder", path=path)
            if answer.status // 100 == 2:  # noqa: PLR2004
                return answer
            failure = answer.failed
        except CallFailed as failed:
            failure = failed
        raise failed_request(self._server, path, failure)

    def _check_redirect(self, path: str, place: str, answer: Answer) -> None:
        target = ""
        with suppress(ValueError):  # of a server that sends nonsense
            target = urlsplit(answer.headers.get("Location", "")).path
        if target == f"{place}/":
            raise NotFound(f"{path} is a folder", path=path)
        raise StoreError(
            f"{path}: the server redirects to another place, which has ETags of its own", path=path
        )

    def _check_copies(self, path: str, when: Condition | None) -> None:
        """Ask once whether the server copies, and whether it knows the If header (class 2)."""
        if self._copies is None:
            self._copies = self._offered(path)
        classes = self._copies.replace(",", " ").split()
        if "1" not in classes:
            raise UnsupportedByStore(f"{path}: {self._server} offers no COPY", path=path)
        if isinstance(when, IfMatch) and "2" not in classes:
            raise UnsupportedByStore(
                f"{path}: {self._server} evaluates no If header, it is of WebDAV class 1", path=path
            )

    def _offered(self, path: str) -> str:
        """The classes of WebDAV that the server says it is of, if it copies at all."""
        for place in (self._root, "/"):
            try:
                headers = self._client.send("OPTIONS", self._server + place).headers
            except CallFailed as failed:
                raise failed_request(self._server, path, failed) from None
            allowed = headers.get("Allow", "COPY").upper().replace(",", " ").split()
            if "DAV" in headers and "COPY" in allowed:
                return headers["DAV"]
        return ""  # some do not know the folder, so that the whole server is asked too

    def _outcome(
        self, path: str, when: Condition | None, failed: CallFailed
    ) -> Refused | Contended | Unanswered:
        return write_outcome(self._server, path, when, failed)

    def _place(self, path: str) -> str:
        return self._root + quote(check_path(path), safe="/~")
