"""One object, compared and swapped: the smallest client of a conditional store.

    counter = ConditionalObject(open_store("s3://bucket/folder"), "counter")
    while True:
        try:
            data, etag = counter.get()
            counter.set(b"%d" % (int(data) + 1), etag)
            break
        except StoreError as error:
            if not is_precondition_failed(error):
                raise

(`ObjectStore.update` is this loop, with pauses and bounds.)

The predicates sort what a call raised. `is_precondition_failed` and `is_conflict`: certainly not
written. `is_unknown`: read the object before anything else. They are false for anything that is no
error of this library.
"""

from atomic_manifest.errors import (
    Conflict409,
    Contended,
    NotFound,
    PreconditionFailed,
    StoreUnavailable,
    UnsupportedByStore,
    WriteOutcomeUnknown,
)
from atomic_manifest.store.async_store import AsyncObjectStore
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.policy.bodies import AsyncBodyData, BodyData


class ConditionalObject:
    """One object of a store. Safe to share between threads.

    Args:
        store: Where it is.
        path: Of the object, which need not exist.
    """

    def __init__(self, store: ObjectStore, path: str) -> None:
        self._store = store
        self.path = path

    def get(self) -> tuple[bytes, ETag]:
        """Read the object.

        Returns:
            Its bytes, and the ETag to give to `set` or `delete`.

        Raises:
            NotFound: If there is none.
            UnsupportedByStore: If the store gives no ETag.
            StoreError: As of `ObjectStore.get`.
        """
        found = self._store.get(self.path)
        return found.data, _etag(found.meta)

    def set(self, data: BodyData, previous_etag: ETag | str | None = None) -> ETag:
        """Write the object if it is still the one that was read.

        Args:
            data: See `ObjectStore.put`.
            previous_etag: What `get` or `set` returned; None to create an object that is not there.

        Returns:
            The new ETag.

        Raises:
            PreconditionFailed: If somebody else wrote, created or deleted it meanwhile.
            StoreError: As of `ObjectStore.put`.
        """
        return _etag(self._store.put(self.path, data, when=_condition(previous_etag)))

    def delete(self, previous_etag: ETag | str) -> None:
        """Delete the object if it is still the one that was read. Errors as of `set`."""
        self._store.delete(self.path, when=IfMatch(previous_etag))

    def __repr__(self) -> str:
        return f"ConditionalObject({self._store!r}, {self.path!r})"


class AsyncConditionalObject:
    """A `ConditionalObject` for asyncio.

    Args:
        store: Where it is.
        path: Of the object, which need not exist.
    """

    def __init__(self, store: AsyncObjectStore, path: str) -> None:
        self._store = store
        self.path = path

    async def get(self) -> tuple[bytes, ETag]:
        """See `ConditionalObject.get`."""
        found = await self._store.get(self.path)
        return found.data, _etag(found.meta)

    async def set(self, data: AsyncBodyData, previous_etag: ETag | str | None = None) -> ETag:
        """See `ConditionalObject.set`."""
        return _etag(await self._store.put(self.path, data, when=_condition(previous_etag)))

    async def delete(self, previous_etag: ETag | str) -> None:
        """See `ConditionalObject.delete`."""
        await self._store.delete(self.path, when=IfMatch(previous_etag))

    def __repr__(self) -> str:
        return f"AsyncConditionalObject({self._store!r}, {self.path!r})"


def is_not_found(error: BaseException) -> bool:
    """Whether there is no such object."""
    return isinstance(error, NotFound)


def is_precondition_failed(error: BaseException) -> bool:
    """Whether somebody else was quicker: read again, decide again."""
    return isinstance(error, PreconditionFailed)


def is_conflict(error: BaseException) -> bool:
    """Whether others kept being in the way: the same call may be made again as it is."""
    return isinstance(error, Conflict409 | Contended)


def is_unavailable(error: BaseException) -> bool:
    """Whether the store did not answer, or declined, for too long."""
    return isinstance(error, StoreUnavailable)


def is_unknown(error: BaseException) -> bool:
    """Whether a write may have landed, or not."""
    return isinstance(error, WriteOutcomeUnknown)


def _condition(previous: ETag | str | None) -> Condition:
    return IfAbsent() if previous is None else IfMatch(previous)


def _etag(meta: ObjectMeta) -> ETag:
    if meta.etag is None:
        raise UnsupportedByStore(f"{meta.path}: the store gives no ETag", path=meta.path)
    return meta.etag
