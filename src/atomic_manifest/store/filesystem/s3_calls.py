"""S3 by the client of `s3fs`: every verb with conditions, one attempt each.

s3fs tries socket time-outs again, and says EIO for a 409, so its client is asked directly, of a copy
of the filesystem whose client tries once. Parts of uploads go through another copy, whose client tries
again as the filesystem's does. What `s3_additional_kwargs` and `requester_pays` say goes along with
each request.
"""

from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiobotocore.httpsession import AIOHTTPSession
from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
)

from atomic_manifest.errors import (
    NotFound,
    StorePermissionDenied,
    UnsupportedByStore,
)
from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta
from atomic_manifest.store.failures import NO_BATCHES
from atomic_manifest.store.filesystem import s3_copy
from atomic_manifest.store.filesystem.calls import (
    UNREADABLE,
    NotAsked,
    Page,
    delete_each,
    endpoint_of,
    own,
    send_once,
    single_tag,
)

if TYPE_CHECKING:
    from s3fs import S3FileSystem

_SERVICE = "S3"
_OWN_HOSTS = ("amazonaws.com", "amazonaws.com.cn")
_PAGE = 1000
_MISSING = 404
_EXPECT = "atomic-manifest-expect"
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
)
_FAILURES = (BotoCoreError, ClientError, ConnectionFailure, OSError)
_T = TypeVar("_T")


class SendingOnce(AIOHTTPSession):  # type: ignore[misc, unused-ignore]
    """aiobotocore's HTTP client without aiohttp's second sending."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        return send_once(await super()._get_session(proxy_url))


class S3Calls:
    """Requests to a bucket of S3, or of what speaks its language. See `Calls`.

    Args:
        fs: Whose settings and credentials to use.
        bucket: Its name.
    """

    service = _SERVICE
    scheme = "s3"
    parts_at_once: int | None = None
    part_multiple = 1

    def __init__(self, fs: "S3FileSystem", bucket: str) -> None:
        settings = {"http_session_cls": SendingOnce, **fs.config_kwargs}
        settings["retries"] = {"total_max_attempts": 1}
        self._once = own(fs, config_kwargs=settings)
        self._again = own(fs)
        self._extra: Mapping[str, Any] = {**fs.s3_additional_kwargs, **fs.req_kw}
        self._bucket = bucket
        self._takes_batches = True

    @property
    def loop(self) -> AbstractEventLoop:
        """See `Calls.loop`."""
        loop: AbstractEventLoop = self._once.loop
        return loop

    async def endpoint(self) -> str | None:
        """See `Calls.endpoint`."""
        client = await _caught(partial(self._client, again=False))
        return endpoint_of(client.meta.endpoint_url, _OWN_HOSTS)

    async def get(
        self, key: str, range: tuple[int, int] | None, if_none_match: ETag | None
    ) -> Object:
        """See `Calls.get`."""
        asked: dict[str, Any] = {"Key": key, **_unless(if_none_match)}
        if range is not None:
            asked["Range"] = f"bytes={range[0]}-{range[1] - 1}"
        told = await self.ask("get_object", asked)
        data = await _caught(_told(told, "Body").read)
        total = told.get("ContentRange", "").rpartition("/")[2]
        size = int(total) if total.isdigit() else _told(told, "ContentLength")
        return Object(data, _meta(key, size, told))

    async def head(self, key: str, if_none_match: ETag | None) -> ObjectMeta:
        """See `Calls.head`."""
        told = await self.ask("head_object", {"Key": key, **_unless(if_none_match)})
        return _meta(key, _told(told, "ContentLength"), told)

    async def put(
        self, key: str, data: Data, when: Condition | None, metadata: Mapping[str, str]
    ) -> ObjectMeta:
        """See `Calls.put`."""
        body = data if isinstance(data, bytes | bytearray) else bytes(data)
        asked = {"Key": key, "Body": body, **self._metadata(metadata), **self.condition(when)}
        told = await self.ask("put_object", asked)
        return _written(key, len(body), told, metadata)

    async def start(
        self, key: str, when: Condition | None, metadata: Mapping[str, str]
    ) -> "S3Parts":
        """See `Calls.start`."""
        condition = self.condition(when)
        asked = {"Key": key, **self._metadata(metadata)}
        told = await self.ask("create_multipart_upload", asked, again=True)
        return S3Parts(self, key, _told(told, "UploadId"), condition, metadata)

    async def copy(
        self, source: str, key: str, when: Condition | None, source_when: IfMatch | None
    ) -> ObjectMeta:
        """See `Calls.copy`. The answer does not say how much was copied."""
        try:
            seen = await self.ask("head_object", {"Key": source})
        except CallFailed as failed:
            if failed.status != _MISSING:
                raise
            raise NotAsked(NotFound, f"the source {source} does not exist") from None
        found = _meta(source, _told(seen, "ContentLength"), seen)
        asked: dict[str, Any] = {"Key": key, "CopySource": {"Bucket": self._bucket, "Key": source}}
        if source_when is not None:
            asked["CopySourceIfMatch"] = self.if_match(source_when)
        if found.size > s3_copy.AT_ONCE:
            return await self._copy_large(seen, found, asked, when, source_when)
        told = await self.ask("copy_object", {**asked, **self.condition(when)})
        answer = {**_told(told, "CopyObjectResult"), "VersionId": told.get("VersionId")}
        return _written(key, found.size, answer, found.metadata)

    async def _copy_large(
        self,
        seen: Mapping[str, Any],
        found: ObjectMeta,
        asked: dict[str, Any],
        when: Condition | None,
        source_when: IfMatch | None,
    ) -> ObjectMeta:
        """Copy in parts, all of the state that was seen or that the caller wants."""
        key, condition = asked["Key"], self.condition(when)
        pinned = source_when is None or source_when.any
        if pinned and found.etag is not None:
            asked["CopySourceIfMatch"] = self.if_match(IfMatch(found.etag))
        kept = {name: seen[name] for name in s3_copy.KEPT if seen.get(name)}
        told = await self.ask("create_multipart_upload", {"Key": key, **kept}, again=True)
        upload = _told(told, "UploadId")
        parts = S3Parts(self, key, upload, condition, found.metadata)
        asked["UploadId"] = upload
        return await s3_copy.copy_in_parts(self, found, parts, asked, pinned=pinned)

    async def delete(self, key: str, when: IfMatch | None, version: str | None) -> None:
        """See `Calls.delete`."""
        asked = {"Key": key, **self.condition(when)}
        if version is not None:
            asked["VersionId"] = version
        await self.ask("delete_object", asked)

    async def delete_many(self, keys: Sequence[str]) -> None:
        """See `Calls.delete_many`."""
        for start in range(0, len(keys), _PAGE):
            batch = keys[start : start + _PAGE]
            if self._takes_batches:
                batch = await self._delete_batch(batch)
            await delete_each(self, batch)

    async def _delete_batch(self, keys: Sequence[str]) -> Sequence[str]:
        """Delete objects by one request; which are left to be deleted by one each."""
        asked = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        try:
            told = await self.ask("delete_objects", {"Delete": asked})
        except CallFailed as failed:
            if failed.status not in NO_BATCHES:
                raise
            self._takes_batches = False
            return keys
        for error in told.get("Errors", []):
            status = _STATUS.get(error.get("Code"), 500)
            raise CallFailed(status, error.get("Code"), key=error.get("Key"))
        return ()

    async def page(self, prefix: str, after: str, token: str | None) -> Page:
        """See `Calls.page`."""
        asked = {"Prefix": prefix, "StartAfter": after, "ContinuationToken": token}
        told = await self.ask("list_objects_v2", {k: v for k, v in asked.items() if v})
        found = [
            ObjectMeta(each["Key"], each["Size"], _tag(each), each.get("LastModified"))
            for each in told.get("Contents", [])
        ]
        return found, told.get("NextContinuationToken") if told.get("IsTruncated") else None

    async def ask(self, operation: str, asked: Mapping[str, Any], *, again: bool = False) -> Any:
        """Make a request; with `again`, as often as the filesystem's client does.

        Raises:
            CallFailed: If the answer is not success, or there is none.
            NotAsked: If it could not be sent.
        """
        client = await _caught(partial(self._client, again=again))
        method = getattr(client, operation)
        model = client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[operation]
        )
        extra = {k: v for k, v in self._extra.items() if k in model.input_shape.members}
        return await _caught(partial(method, **{**extra, "Bucket": self._bucket, **asked}))

    def condition(self, when: Condition | None) -> dict[str, str]:
        """The parameters that carry a condition of what is written.

        Raises:
            NotAsked: If S3 cannot evaluate it.
        """
        if when is None:
            return {}
        if any(name.startswith("SSECustomer") for name in self._extra):
            text = "S3 evaluates no condition on objects under a customer's key (SSE-C)"
            raise NotAsked(UnsupportedByStore, text)
        if isinstance(when, IfAbsent):
            return {"IfNoneMatch": "*"}
        return {"IfMatch": self.if_match(when)}

    def if_match(self, when: IfMatch) -> str:
        """The text of an If-Match header."""
        return "*" if when.any else single_tag(_SERVICE, when).quoted

    def _metadata(self, metadata: Mapping[str, str]) -> dict[str, Any]:
        return {"Metadata": {**self._extra.get("Metadata", {}), **metadata}} if metadata else {}

    async def _client(self, *, again: bool) -> Any:
        fs = self._again if again else self._once
        await fs.set_session()
        client = await fs.get_s3(self._bucket)
        client.meta.events.register("before-send.s3", _expect_nothing, unique_id=_EXPECT)
        return client


class S3Parts:
    """A multipart upload. See `Parts`.

    Args:
        calls: Of the bucket.
        key: To be written.
        id: Of the upload.
        condition: Parameters of the completion.
        metadata: What was sent at the start.
    """

    def __init__(
        self,
        calls: S3Calls,
        key: str,
        id: str,
        condition: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> None:
        self._calls = calls
        self._condition = condition
        self._metadata = metadata
        self._key = key
        self._id = {"Key": key, "UploadId": id}
        self._size = 0

    async def send(self, number: int, data: bytes) -> dict[str, Any]:
        """See `Parts.send`."""
        self._size += len(data)
        asked = {**self._id, "PartNumber": number + 1, "Body": data}
        told = await self._calls.ask("upload_part", asked, again=True)
        return {"ETag": _told(told, "ETag"), "PartNumber": number + 1}

    async def complete(self, sent: Sequence[dict[str, Any]], last: bytes) -> ObjectMeta:
        """See `Parts.complete`."""
        parts = [*sent, await self.send(len(sent), last)] if last or not sent else [*sent]
        asked = {**self._id, "MultipartUpload": {"Parts": parts}, **self._condition}
        told = await self._calls.ask("complete_multipart_upload", asked)
        return _written(self._key, self._size, told, self._metadata)

    async def discard(self) -> None:
        """See `Parts.discard`."""
        try:
            await self._calls.ask("abort_multipart_upload", self._id, again=True)
        except CallFailed as failed:
            if failed.status != _MISSING:
                raise


_STATUS = {"AccessDenied": 403, "NotImplemented": 501, "SlowDown": 503}


async def _caught(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Await, with the SDK's exceptions read; their texts hold URLs, and are left behind."""
    try:
        return await ask()
    except _FAILURES as error:
        failure = _read(error)
    raise failure


def _read(error: Exception) -> CallFailed | NotAsked:
    if isinstance(error, ClientError):
        told = error.response.get("ResponseMetadata", {})
        code = error.response.get("Error", {}).get("Code")
        etag = told.get("HTTPHeaders", {}).get("etag")
        status = told.get("HTTPStatusCode")
        named = None if code is None or code.isdigit() else code
        return CallFailed(status, named, etag=ETag.parse(etag) if etag else None)
    if isinstance(error, _NO_CREDENTIALS):
        return NotAsked(StorePermissionDenied, "the filesystem has no credentials for S3")
    if isinstance(error, ParamValidationError):
        text = f"the installed botocore cannot ask S3 for it: {error.kwargs['report']}"
        return NotAsked(UnsupportedByStore, text)
    if isinstance(error, EndpointConnectionError):
        return CallFailed(None, "no connection to its host", never_sent=True)
    return CallFailed(None)


def _unless(tag: ETag | None) -> dict[str, Any]:
    return {} if tag is None else {"IfNoneMatch": tag.quoted}


def _expect_nothing(request: Any, **_: Any) -> None:
    """Send bodies at once: aiohttp waits for "100 Continue" without a time-out."""
    if "Expect" in request.headers:
        del request.headers["Expect"]


def _told(told: Mapping[str, Any], name: str) -> Any:
    """What no answer of success goes without."""
    if told.get(name) is None:
        raise CallFailed(None, UNREADABLE)
    return told[name]


def _version(told: Mapping[str, Any]) -> str | None:
    version = told.get("VersionId")
    return None if version == "null" else version


def _tag(told: Mapping[str, Any]) -> ETag | None:
    return ETag.parse(told["ETag"]) if told.get("ETag") else None


def _meta(key: str, size: int, told: Mapping[str, Any]) -> ObjectMeta:
    metadata = {name.lower(): value for name, value in told.get("Metadata", {}).items()}
    return ObjectMeta(key, size, _tag(told), told.get("LastModified"), metadata, _version(told))


def _written(
    key: str, size: int, told: Mapping[str, Any], metadata: Mapping[str, str]
) -> ObjectMeta:
    return ObjectMeta(key, size, _tag(told), None, metadata, _version(told))
