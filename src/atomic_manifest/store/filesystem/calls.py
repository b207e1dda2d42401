"""What fsspec's cloud filesystems are asked: one call of a `Calls`, one request sent once.

The filesystems' own methods try again by themselves and tell several answers apart no longer, so each
has its `Calls`, which asks the client beneath. They run on the filesystem's event loop, take whole
keys of one bucket, and raise `CallFailed` for every answer that is no success and for none at all;
`NotAsked` for what was never sent. aiohttp, on which all of them ride, sends GET, PUT and DELETE a
second time when a kept connection breaks before the answer: a conditional write whose first copy
landed would then be refused because of itself. So `send_once` comes first.
"""

from asyncio import AbstractEventLoop, Semaphore, gather
from collections.abc import Awaitable, Mapping, Sequence
from io import BytesIO
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from atomic_manifest.errors import StoreError, UnsupportedByStore
from atomic_manifest.store.answers import CallFailed, strong
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import Data, Object, ObjectMeta

_T = TypeVar("_T")
Page: TypeAlias = tuple[list[ObjectMeta], str | None]
"""Objects in order of key, and what to ask for the next page with; None after the last."""


class NotAsked(Exception):
    """What the service, the credentials or the installed client cannot do; nothing was sent.

    Args:
        kind: The class to raise.
        text: Why, to be put after the object's path.
    """

    def __init__(self, kind: type[StoreError], text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text


class Parts(Protocol):
    """A multipart upload in progress. Parts are sent with the client's own retries."""

    async def send(self, number: int, data: bytes) -> Any:
        """Send part `number`, counted from 0; returns what `complete` needs of it."""
        ...

    async def complete(self, sent: Sequence[Any], last: bytes) -> ObjectMeta:
        """Send the last part, which is not empty, and make the object of all, on the condition."""
        ...

    async def discard(self) -> None:
        """Remove what was sent."""
        ...


class Calls(Protocol):
    """Single requests to one bucket. `path` of what they return is the key."""

    service: str
    """For messages."""
    scheme: str
    """Of the URL in messages."""
    parts_at_once: int | None
    """How many parts of an upload may be under way; None for any number."""
    part_multiple: int
    """Every part but the last must have a multiple of this many bytes."""

    @property
    def loop(self) -> AbstractEventLoop:
        """Where the coroutines must run."""
        ...

    async def endpoint(self) -> str | None:
        """Scheme and host of the service; None for the provider's own."""
        ...

    async def get(
        self, key: str, range: tuple[int, int] | None, if_none_match: ETag | None
    ) -> Object:
        """Read an object."""
        ...

    async def head(self, key: str, if_none_match: ETag | None) -> ObjectMeta:
        """Look at an object."""
        ...

    async def put(
        self, key: str, data: Data, when: Condition | None, metadata: Mapping[str, str]
    ) -> ObjectMeta:
        """Write an object at once."""
        ...

    async def start(self, key: str, when: Condition | None, metadata: Mapping[str, str]) -> Parts:
        """Begin a multipart upload."""
        ...

    async def copy(
        self, source: str, key: str, when: Condition | None, source_when: IfMatch | None
    ) -> ObjectMeta:
        """Copy an object."""
        ...

    async def delete(self, key: str, when: IfMatch | None, version: str | None) -> None:
        """Delete an object or a version of one."""
        ...

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are no error."""
        ...

    async def page(self, prefix: str, after: str, token: str | None) -> Page:
        """List keys that start with `prefix` and are greater than `after`."""
        ...


UNREADABLE = "an answer that cannot be read"
"""Of a `CallFailed` without status."""


async def readable(asked: Awaitable[_T]) -> _T:
    """Await a call. What its SDK raises over an answer that it cannot make out is a `CallFailed`, too.

    Raised after the handler, so that nothing keeps the SDK's text.
    """
    try:
        return await asked
    except (CallFailed, NotAsked, StoreError):
        raise
    except Exception:  # noqa: BLE001, S110 - an SDK may raise anything
        pass
    raise CallFailed(None, UNREADABLE)


_AT_ONCE = 16
"""Requests under way."""

LARGE = 1 << 20
"""Bytes from which aiohttp wants a body as a file, so as not to hold up the event loop."""


def as_body(data: bytes) -> bytes | BytesIO:
    """A request's body in the form that aiohttp wants."""
    return data if len(data) <= LARGE else BytesIO(data)


async def delete_each(calls: Calls, keys: Sequence[str]) -> None:
    """Delete objects by a request for each, several under way at once; missing ones are no error.

    Raises:
        CallFailed: If a deletion failed, of which it has the key; the others were tried.
    """
    free = Semaphore(_AT_ONCE)

    async def delete(key: str) -> None:
        async with free:
            try:
                await calls.delete(key, None, None)
            except CallFailed as failed:
                if not failed.is_of_missing:
                    failed.key = key
                    raise

    for failed in await gather(*map(delete, keys), return_exceptions=True):
        if failed is not None:
            raise failed


def send_once(session: Any) -> Any:
    """Keep an aiohttp session from sending a request again by itself; no public word says it."""
    session._retry_connection = False  # noqa: SLF001
    return session


def own(fs: Any, **changes: Any) -> Any:
    """A filesystem like `fs`, of the driver's own, on fsspec's event loop in the background."""
    options = {**fs.storage_options, "asynchronous": False, "loop": None, **changes}
    return type(fs)(*fs.storage_args, **options, skip_instance_cache=True)


def endpoint_of(url: str, own_hosts: tuple[str, ...]) -> str | None:
    """Scheme, host and port of a URL; None if the host is one of those, or below one."""
    parts = urlsplit(url)
    if f".{parts.hostname}".endswith(tuple(f".{host}" for host in own_hosts)):
        return None
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def single_tag(service: str, when: IfMatch) -> ETag:
    """The one tag of a condition that is not `IfMatch.ANY`, for services that compare only one.

    Raises:
        NotAsked: If there are several.
    """
    tags = strong(when).etags
    if len(tags) != 1:
        text = f"{when!r} cannot be asked of {service}, only one ETag can"
        raise NotAsked(UnsupportedByStore, text)
    return tags[0]
