"""Google Cloud Storage by the session and credentials of `gcsfs`, one attempt each.

The ETag is the generation, which is what conditional writes compare. Objects are read by the XML API,
whose one answer holds bytes, generation and metadata, and written by the JSON API: small ones as what
it calls multipart uploads, never as media uploads; large ones as resumable uploads, whose condition
is asked when they begin and again when they end.

Zonal buckets, which take writes by gRPC alone, are not for this.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import ClientError as ConnectionFailure
from aiohttp import ClientTimeout

from atomic_manifest.env import Env
from atomic_manifest.errors import NotFound, StorePermissionDenied
from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta
from atomic_manifest.store.filesystem.calls import (
    UNREADABLE,
    NotAsked,
    Page,
    as_body,
    delete_each,
    endpoint_of,
    own,
    send_once,
    single_tag,
)
from atomic_manifest.threads import from_loop

if TYPE_CHECKING:
    from gcsfs import GCSFileSystem

_SERVICE = "Google Cloud Storage"
_OWN_HOSTS = ("googleapis.com",)
_TIMEOUT = ClientTimeout(total=None, sock_connect=5, sock_read=30)
_META = "x-goog-meta-"
_OK = 200
_INCOMPLETE = 308
_MISSING = 404
_CANCELLED = 499
_NO_VERSION = "0"
_ATTEMPTS = 4
_FINAL = frozenset({400, 401, 403, 404, 410, 412})


class GCSCalls:
    """Requests to a bucket. See `Calls`.

    Args:
        fs: Whose session and credentials to use.
        bucket: Its name.
        env: Gives the boundaries of multipart bodies.
    """

    service = _SERVICE
    scheme = "gs"
    parts_at_once: int | None = 1
    part_multiple = 256 * 1024

    def __init__(self, fs: "GCSFileSystem", bucket: str, env: Env) -> None:
        self._fs = own(fs)
        self._bucket = bucket
        self._env = env
        self._host = self._fs.base.removesuffix("/storage/v1/")
        self._objects = f"{self._fs.base}b/{quote(bucket, safe='')}/o"
        self._uploads = f"{self._host}/upload/storage/v1/b/{quote(bucket, safe='')}/o"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """See `Calls.loop`."""
        loop: asyncio.AbstractEventLoop = self._fs.loop
        return loop

    async def endpoint(self) -> str | None:
        """See `Calls.endpoint`."""
        return endpoint_of(self._host, _OWN_HOSTS)

    async def get(
        self, key: str, range: tuple[int, int] | None, if_none_match: ETag | None
    ) -> Object:
        """See `Calls.get`. A generation cannot stand in If-None-Match, so it is looked at first."""
        if if_none_match is not None:
            await self.head(key, if_none_match)
        sent = {} if range is None else {"Range": f"bytes={range[0]}-{range[1] - 1}"}
        headers, body = await self.ask("GET", self._xml(key), headers=sent)
        return Object(body, _meta(key, headers))

    async def head(self, key: str, if_none_match: ETag | None) -> ObjectMeta:
        """See `Calls.head`."""
        headers, _ = await self.ask("HEAD", self._xml(key))
        meta = _meta(key, headers)
        if if_none_match is not None and meta.etag == if_none_match:
            raise CallFailed(304)
        return meta

    async def put(
        self, key: str, data: Data, when: Condition | None, metadata: Mapping[str, str]
    ) -> ObjectMeta:
        """See `Calls.put`."""
        boundary = self._env.new_id()
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                json.dumps({"name": key, "metadata": dict(metadata)}).encode(),
                f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--".encode(),
            )
        )
        sent = {"Content-Type": f"multipart/related; boundary={boundary}"}
        asked = {"uploadType": "multipart", **_condition(when)}
        _, answer = await self.ask("POST", self._uploads, asked, headers=sent, body=body)
        return _resource(key, answer)

    async def start(
        self, key: str, when: Condition | None, metadata: Mapping[str, str]
    ) -> "GCSParts":
        """See `Calls.start`."""
        asked = {"uploadType": "resumable", "name": key, **_condition(when)}
        body = json.dumps({"name": key, "metadata": dict(metadata)}).encode()
        sent = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": "application/octet-stream",
        }
        headers, _ = await self.ask("POST", self._uploads, asked, headers=sent, body=body)
        return GCSParts(self, key, headers["Location"])

    async def copy(
        self, source: str, key: str, when: Condition | None, source_when: IfMatch | None
    ) -> ObjectMeta:
        """See `Calls.copy`. Copies to another location or class take several requests."""
        asked = _condition(when)
        if source_when is not None:
            given = _condition(source_when)
            asked |= {name.replace("if", "ifSource"): value for name, value in given.items()}
        url = f"{self._json(source)}/rewriteTo/b/{quote(self._bucket, safe='')}/o/{quote(key, safe='')}"
        while True:
            try:
                _, answer = await self.ask("POST", url, asked)
            except CallFailed as failed:
                if failed.status != _MISSING:
                    raise
                raise NotAsked(NotFound, f"the source {source} does not exist") from None
            told = _read(answer)
            if "resource" in told:
                return _described(key, told["resource"])
            if not told.get("rewriteToken"):
                raise CallFailed(None, UNREADABLE)
            asked["rewriteToken"] = told["rewriteToken"]

    async def delete(self, key: str, when: IfMatch | None, version: str | None) -> None:
        """See `Calls.delete`."""
        asked = _condition(when)
        if version is not None:
            asked["generation"] = version
        try:
            await self.ask("DELETE", self._json(key), asked)
        except CallFailed as failed:
            if failed.status != _MISSING or when is not None:
                raise

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See `Calls.delete_many`."""
        await delete_each(self, keys)

    async def page(self, prefix: str, after: str, token: str | None) -> Page:
        """See `Calls.page`."""
        asked = {
            "prefix": prefix,
            "startOffset": after,
            "pageToken": token,
            "fields": "nextPageToken,items(name,size,generation,updated,metadata)",
        }
        given = {name: value for name, value in asked.items() if value}
        _, answer = await self.ask("GET", self._objects, given)
        told = _read(answer)
        items = told.get("items", [])
        return [_described(item["name"], item) for item in items], told.get("nextPageToken")

    async def ask(
        self,
        method: str,
        url: str,
        asked: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        success: Sequence[int] = (),
    ) -> tuple[Mapping[str, str], bytes]:
        """Make one request; answers of 2xx and those of `success` are given back.

        Raises:
            CallFailed: If the answer is another, or there is none.
            NotAsked: If there are no credentials.
        """
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        session = await self._session(sent)
        try:
            async with session.request(
                method,
                url,
                params=asked,
                headers=sent,
                data=None if body is None else as_body(body),
                timeout=self._fs.requests_timeout or _TIMEOUT,
                allow_redirects=False,
            ) as response:
                answer = await response.read()
        except (ConnectionFailure, OSError):
            failure = CallFailed(None)
        else:
            if response.status // 100 == 2 or response.status in success:  # noqa: PLR2004
                return response.headers, answer
            failure = CallFailed(response.status, _reason(answer))
        # Outside the handler, so that no URL is part of the traceback.
        raise failure

    async def _session(self, headers: dict[str, str]) -> Any:
        """The filesystem's session; its credentials are put into `headers`."""
        from gcsfs.retry import HttpError, NonRetryableError  # noqa: PLC0415 - came with gcsfs
        from google.auth.exceptions import GoogleAuthError, TransportError  # noqa: PLC0415 - likewise

        refused: CallFailed | NotAsked
        session = send_once(await self._fs._set_session())  # noqa: SLF001 - nothing public opens it
        payer = self._fs.requester_pays
        if payer:
            headers["x-goog-user-project"] = payer if isinstance(payer, str) else self._fs.project
        try:
            await self._authorize(headers)
        except TransportError:
            refused = CallFailed(None)
        except (GoogleAuthError, HttpError, NonRetryableError):
            refused = NotAsked(
                StorePermissionDenied, "the filesystem's credentials could not be renewed"
            )
        else:
            return session
        raise refused

    async def _authorize(self, headers: dict[str, str]) -> None:
        """Put credentials into `headers`; renewing them blocks, which is no thing for this loop."""
        held = self._fs.credentials.credentials
        if held is not None:
            await from_loop(self._fs.credentials.apply, headers)

    def _json(self, key: str) -> str:
        return f"{self._objects}/{quote(key, safe='')}"

    def _xml(self, key: str) -> str:
        return f"{self._host}/{quote(self._bucket, safe='')}/{quote(key, safe='/~')}"


class GCSParts:
    """A resumable upload, whose parts go one after the other. See `Parts`.

    Args:
        calls: Of the bucket.
        key: To be written.
        url: The upload's own.
    """

    def __init__(self, calls: GCSCalls, key: str, url: str) -> None:
        self._calls = calls
        self._key = key
        self._url = url
        self._size = 0

    async def send(self, number: int, data: bytes) -> None:
        """See `Parts.send`. The service may keep less than was sent, and is then sent the rest."""
        del number
        start, attempts = self._size, _ATTEMPTS
        while self._size < start + len(data):
            rest = data[self._size - start :]
            before = self._size
            try:
                await self._tell(rest, f"{before}-{before + len(rest) - 1}/*")
            except CallFailed as failed:
                attempts -= 1
                if not attempts or failed.status in _FINAL:
                    raise
                await self._tell(b"", "*/*")

    async def _tell(self, data: bytes, range: str) -> None:
        sent = {"Content-Range": f"bytes {range}"}
        headers, _ = await self._calls.ask(
            "PUT", self._url, headers=sent, body=data, success=(_INCOMPLETE,)
        )
        kept = headers.get("Range", "").rpartition("-")[2]
        self._size = int(kept) + 1 if kept.isdigit() else 0

    async def complete(self, sent: Sequence[None], last: bytes) -> ObjectMeta:
        """See `Parts.complete`."""
        del sent
        start, total = self._size, self._size + len(last)
        told = {"Content-Range": f"bytes {start}-{total - 1}/{total}"}
        _, answer = await self._calls.ask("PUT", self._url, headers=told, body=last)
        return _resource(self._key, answer)

    async def discard(self) -> None:
        """See `Parts.discard`."""
        await self._calls.ask("DELETE", self._url, success=(_CANCELLED, _MISSING))


def _condition(when: Condition | None) -> dict[str, str]:
    """The parameters that carry a condition of what is written."""
    if when is None:
        return {}
    if isinstance(when, IfAbsent):
        return {"ifGenerationMatch": _NO_VERSION}
    if when.any:
        return {"ifGenerationNotMatch": _NO_VERSION}
    generation = single_tag(_SERVICE, when).opaque
    # The service answers 400 to what is no number, and takes 0 for "no object".
    ever = generation.isdecimal() and generation.isascii() and int(generation) > 0
    if not ever or int(generation) >= 1 << 63:
        raise CallFailed(412)
    return {"ifGenerationMatch": generation}


def _meta(key: str, headers: Mapping[str, str]) -> ObjectMeta:
    total = headers.get("Content-Range", "").rpartition("/")[2]
    stored = headers.get("x-goog-stored-content-length") or headers.get("Content-Length", "0")
    generation, modified = headers.get("x-goog-generation"), headers.get("Last-Modified")
    metadata = {
        name.lower().removeprefix(_META): value
        for name, value in headers.items()
        if name.lower().startswith(_META)
    }
    return ObjectMeta(
        key,
        int(total if total.isdigit() else stored),
        ETag(generation) if generation else None,
        parsedate_to_datetime(modified) if modified else None,
        metadata,
    )


def _read(answer: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise CallFailed(None, UNREADABLE)
    return told


def _resource(key: str, answer: bytes) -> ObjectMeta:
    return _described(key, _read(answer))


def _described(key: str, resource: Mapping[str, Any]) -> ObjectMeta:
    updated = resource.get("updated")
    return ObjectMeta(
        key,
        int(resource.get("size", 0)),
        ETag(resource["generation"]) if "generation" in resource else None,
        datetime.fromisoformat(updated) if updated else None,
        {name.lower(): value for name, value in resource.get("metadata", {}).items()},
    )


def _reason(answer: bytes) -> str | None:
    """The API's one word for an error, if the body tells it."""
    try:
        reason = json.loads(answer)["error"]["errors"][0]["reason"]
    except (ValueError, LookupError, TypeError):
        return None
    return reason if isinstance(reason, str) and reason.isalnum() else None
