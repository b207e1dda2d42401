"""Azure Blob Storage by the credentials of `adlfs`, one attempt each.

The filesystem's client tries again and splits large bodies, so a client of its own account, credential
and API goes beside it, which does neither. Parts are staged by the filesystem's. Metadata names can
hold no hyphen, so hyphens are sent as underscores, and underscores read as hyphens.
"""

import base64
import os
from asyncio import AbstractEventLoop, run_coroutine_threadsafe
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobServiceClient

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import NotFound, StorePermissionDenied
from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta
from atomic_manifest.store.filesystem.calls import (
    LARGE,
    NotAsked,
    Page,
    as_body,
    delete_each,
    endpoint_of,
    own,
    send_once,
    single_tag,
)

if TYPE_CHECKING:
    from adlfs import AzureBlobFileSystem

_SERVICE = "Azure Blob Storage"
_OWN_HOSTS = ("core.windows.net", "core.chinacloudapi.cn", "fabric.microsoft.com")
_WHOLE = 5000 * 1024 * 1024
_PAGE = 1000
_TIMEOUTS: Mapping[str, Any] = {"connection_timeout": 5, "read_timeout": 30}
"""Seconds, where the filesystem has none of its own."""
_NAME = 14
"""Letters of it. With the number that is 20, as in obstore: all of a key must have one length."""
_MISSING = 404
_T = TypeVar("_T")


class AzureCalls:
    """Requests to a container. See `Calls`.

    Args:
        fs: Whose account and credentials to use.
        container: Its name.
        env: Names the blocks of uploads.
    """

    service = _SERVICE
    scheme = "az"
    parts_at_once: int | None = None
    part_multiple = 1

    def __init__(self, fs: "AzureBlobFileSystem", container: str, env: Env = SYSTEM) -> None:
        elsewhere = fs.asynchronous or fs._pid != os.getpid()  # noqa: SLF001 - a loop of another process
        self._fs = own(fs) if elsewhere else fs
        given = {name: fs.storage_options.get(name) for name in _TIMEOUTS}
        self._timeouts = {**_TIMEOUTS} | {
            name: told for name, told in given.items() if told is not None
        }
        self._container = container
        self._env = env
        self._once: BlobServiceClient | None = None

    @property
    def loop(self) -> AbstractEventLoop:
        """See `Calls.loop`."""
        loop: AbstractEventLoop = self._fs.loop
        return loop

    async def endpoint(self) -> str | None:
        """See `Calls.endpoint`."""
        return endpoint_of(self._fs.service_client.url, _OWN_HOSTS)

    async def get(
        self, key: str, range: tuple[int, int] | None, if_none_match: ETag | None
    ) -> Object:
        """See `Calls.get`."""
        asked = _unless(if_none_match)
        if range is not None:
            asked |= {"offset": range[0], "length": range[1] - range[0]}
        blob = await self._blob(key)

        async def read() -> Object:
            found = await blob.download_blob(max_concurrency=1, **asked)
            return Object(await found.readall(), _meta(key, found.properties))

        return await _caught(read)

    async def head(self, key: str, if_none_match: ETag | None) -> ObjectMeta:
        """See `Calls.head`."""
        blob = await self._blob(key)
        asked = _unless(if_none_match)
        return _meta(key, await _caught(partial(blob.get_blob_properties, **asked)))

    async def put(
        self, key: str, data: Data, when: Condition | None, metadata: Mapping[str, str]
    ) -> ObjectMeta:
        """See `Calls.put`. The SDK would send a large body so that it holds up the event loop."""
        condition = _condition(when)
        body = data if isinstance(data, bytes) else bytes(data)
        if len(body) > LARGE:
            return await (await self.start(key, when, metadata)).complete((), body)
        blob = await self._blob(key)
        asked = {"overwrite": True, "metadata": _sent(metadata), **condition}
        told = await _caught(partial(blob.upload_blob, body, length=len(body), **asked))
        return _written(key, len(body), told, metadata)

    async def start(
        self, key: str, when: Condition | None, metadata: Mapping[str, str]
    ) -> "AzureParts":
        """See `Calls.start`. The service knows nothing of it before the first part."""
        condition = _condition(when)
        staging = self._fs.service_client.get_blob_client(self._container, key)
        blob, name = await self._blob(key), self._env.new_id()[:_NAME]
        return AzureParts(staging, blob, key, name, condition, metadata, self._timeouts)

    async def copy(
        self, source: str, key: str, when: Condition | None, source_when: IfMatch | None
    ) -> ObjectMeta:
        """See `Calls.copy`. Within one account the service copies at once."""
        asked = _condition(when)
        if source_when is not None:
            given = _condition(source_when)
            asked |= {f"source_{name}": value for name, value in given.items()}
        found = await self._source(source)
        original, blob = await self._blob(source), await self._blob(key)
        told = await _caught(partial(blob.start_copy_from_url, original.url, **asked))
        if told.get("copy_status") != "success":
            raise CallFailed(None, "an unfinished copy")
        return _written(key, found.size, told, found.metadata)

    async def delete(self, key: str, when: IfMatch | None, version: str | None) -> None:
        """See `Calls.delete`."""
        asked = _condition(when)
        if version is None:
            asked["delete_snapshots"] = "include"
        else:
            asked["version_id"] = version
        blob = await self._blob(key)
        try:
            await _caught(partial(blob.delete_blob, **asked))
        except CallFailed as failed:
            if failed.status != _MISSING or failed.code != "BlobNotFound" or when is not None:
                raise

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See `Calls.delete_many`."""
        await delete_each(self, keys)

    async def page(self, prefix: str, after: str, token: str | None) -> Page:
        """See `Calls.page`. The service cannot begin after a key."""
        client = await self._service()
        container = client.get_container_client(self._container)
        found = container.list_blobs(prefix or None, results_per_page=_PAGE)
        pages = found.by_page(token or None)

        async def read() -> list[ObjectMeta]:
            return [
                _meta(each.name, each)
                async for each in await anext(pages)
                if each.name > after and not _is_folder(each)
            ]

        return await _caught(read), pages.continuation_token  # type: ignore[attr-defined]

    async def _source(self, source: str) -> ObjectMeta:
        try:
            return await self.head(source, None)
        except CallFailed as failed:
            if failed.status != _MISSING:
                raise
            raise NotAsked(NotFound, f"the source {source} does not exist") from None

    async def _blob(self, key: str) -> Any:
        return (await self._service()).get_blob_client(self._container, key)

    async def _service(self) -> BlobServiceClient:
        if self._once is None:
            transport = AioHttpTransport(**self._timeouts)
            await transport.open()
            send_once(transport.session)
            theirs = self._fs.service_client
            self._once = BlobServiceClient(
                theirs.url,
                credential=theirs.credential,
                transport=transport,
                retry_total=0,
                max_single_put_size=_WHOLE,
                max_single_get_size=_WHOLE,
            )
            finalize(self, _close, self._once, self.loop)
        return self._once


class AzureParts:
    """Blocks that become a blob. See `Parts`.

    Args:
        staging: Sends blocks, again if need be.
        blob: Makes the blob of them, once.
        key: To be written.
        name: What this upload's blocks are called. All uploads of one key share its uncommitted
            blocks, so without a name of its own one would end with the bytes of another.
        condition: Of that.
        metadata: To go with it.
        timeouts: Of the filesystem's client, which has none of its own.
    """

    def __init__(
        self,
        staging: Any,
        blob: Any,
        key: str,
        name: str,
        condition: Mapping[str, Any],
        metadata: Mapping[str, str],
        timeouts: Mapping[str, float],
    ) -> None:
        self._staging = staging
        self._timeouts = timeouts
        self._blob = blob
        self._key = key
        self._name = name
        self._condition = condition
        self._metadata = metadata
        self._size = 0

    async def send(self, number: int, data: bytes) -> str:
        """See `Parts.send`."""
        self._size += len(data)
        block = base64.b64encode(f"{self._name:0>{_NAME}}{number:06}".encode()).decode()
        asked = {"length": len(data), **self._timeouts}
        await _caught(partial(self._staging.stage_block, block, as_body(data), **asked))
        return block

    async def complete(self, sent: Sequence[str], last: bytes) -> ObjectMeta:
        """See `Parts.complete`."""
        all_sent = [*sent, await self.send(len(sent), last)] if last or not sent else sent
        blocks = [BlobBlock(each) for each in all_sent]
        asked = {"metadata": _sent(self._metadata), **self._condition}
        told = await _caught(partial(self._blob.commit_block_list, blocks, **asked))
        return _written(self._key, self._size, told, self._metadata)

    async def discard(self) -> None:
        """See `Parts.discard`. The service forgets blocks that no blob was made of in a week."""


def _close(client: BlobServiceClient, loop: AbstractEventLoop) -> None:
    if loop.is_running():
        run_coroutine_threadsafe(client.close(), loop)


async def _caught(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Await, with the SDK's exceptions read; their texts hold URLs, and are left behind."""
    try:
        return await ask()
    except (AzureError, OSError) as error:
        failure = _read(error)
    raise failure


def _read(error: Exception) -> CallFailed | NotAsked:
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        code = getattr(error, "error_code", None)
        headers = getattr(error.response, "headers", {})
        etag = headers.get("ETag")
        named = None if code is None else str(getattr(code, "value", code))
        return CallFailed(error.status_code, named, etag=ETag.parse(etag) if etag else None)
    if isinstance(error, ClientAuthenticationError):
        return NotAsked(StorePermissionDenied, "the filesystem's credentials were refused")
    return CallFailed(None)


def _condition(when: Condition | None) -> dict[str, Any]:
    """The parameters that carry a condition of what is written."""
    if when is None:
        return {}
    if isinstance(when, IfAbsent):
        return {"match_condition": MatchConditions.IfMissing}
    if when.any:
        return {"match_condition": MatchConditions.IfPresent}
    etag = single_tag(_SERVICE, when).quoted
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _unless(tag: ETag | None) -> dict[str, Any]:
    return (
        {} if tag is None else {"etag": tag.quoted, "match_condition": MatchConditions.IfModified}
    )


def _sent(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in metadata.items()}


def _is_folder(properties: Any) -> bool:
    """Whether it stands for a folder, in an account whose names are hierarchical."""
    return (properties.metadata or {}).get("hdi_isfolder") == "true"


def _meta(key: str, properties: Any) -> ObjectMeta:
    if _is_folder(properties):
        raise CallFailed(_MISSING, "BlobNotFound")
    total = (getattr(properties, "content_range", None) or "").rpartition("/")[2]
    return ObjectMeta(
        key,
        int(total) if total.isdigit() else properties.size,
        ETag.parse(properties.etag),
        properties.last_modified,
        {name.lower().replace("_", "-"): v for name, v in (properties.metadata or {}).items()},
        getattr(properties, "version_id", None),
    )


def _written(
    key: str, size: int, told: Mapping[str, Any], metadata: Mapping[str, str]
) -> ObjectMeta:
    etag, version = told.get("etag"), told.get("version_id")
    tag = ETag.parse(etag) if etag else None
    return ObjectMeta(key, size, tag, told.get("last_modified"), metadata, version)
