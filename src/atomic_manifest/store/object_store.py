"""Policy over a driver: what is tried again, and how an outcome becomes a value or an exception.

Invariants:

* Reads and deletions are tried again while the store does not answer; they change nothing, or change
  it to the same.
* A conditional write carries a fresh id as user metadata. When the condition fails after an attempt
  that went unanswered, the object is looked at: with our id on it, the write that landed was ours.
* What cannot be settled is said (`WriteOutcomeUnknown`), never guessed.

Error semantics: `AlreadyExists`, `PreconditionFailed` and `Conflict409` mean that the write is not
there; `StoreUnavailable` of an unconditional write that it may be; everything else is listed at
`ObjectStore.put`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.conditions import Condition, ETag
from atomic_manifest.store.driver import (
    Data,
    Driver,
    Object,
    ObjectMeta,
    check_path,
)
from atomic_manifest.store.pacing import Pacer, Retry
from atomic_manifest.store.upload import Upload
from atomic_manifest.store.writing import ConditionalPut, delete_whole, put_whole

_T = TypeVar("_T")

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a part of a multipart upload, unless told otherwise."""


class ObjectStore:
    """Objects at paths below one root, with conditional writes. Safe to share between threads.

    Args:
        driver: Makes the single attempts.
        env: Clock, randomness and ids.
        retry: Bounds of the attempts at each request.

    Attributes:
        driver: As given.
        env: As given.
        retry: As given.
    """

    def __init__(self, driver: Driver, *, env: Env = SYSTEM, retry: Retry | None = None) -> None:
        self.driver = driver
        self.env = env
        self.retry = Retry() if retry is None else retry

    @property
    def url(self) -> str:
        """Where the root is; holds no secret."""
        return self.driver.url

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """Read an object.

        Args:
            path: Below the root.
            range: Read only bytes [start, end); what is past the object's end is left out.
            if_none_match: Read only if the object has another ETag.

        Raises:
            NotFound: If there is no object at `path`.
            NotModified: If the object has the ETag `if_none_match`.
            StoreError: If `range` holds no byte of the object.
            StoreUnavailable: If the store did not answer until the budget ended.
            StorePermissionDenied: If the credentials do not allow it.
            InvalidPath: If `path` is no usable path.
        """
        return self._asking(lambda: self.driver.get(path, range=range, if_none_match=if_none_match))

    def head(self, path: str) -> ObjectMeta:
        """Look at an object without its bytes. Raises as `get` does."""
        return self._asking(lambda: self.driver.head(path))

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectMeta:
        """Write a whole object at once.

        Args:
            path: Below the root.
            data: The object's bytes.
            when: Write only if this holds at that instant; None writes in any case.
            metadata: User metadata to keep with the object, where the store keeps any.

        Returns:
            What the store says of the written object.

        Raises:
            AlreadyExists: If `when` is `IfAbsent()` and another object is there.
            PreconditionFailed: If `when` is an `IfMatch` that did not hold.
            Conflict409: If other operations on the key were in flight at every attempt. Nothing was
                written.
            WriteOutcomeUnknown: If the write is conditional, an attempt went unanswered, and looking
                at the object does not tell whether it landed.
            StoreUnavailable: If the store declined or did not answer until the budget ended. An
                unconditional write may have landed; a conditional one has not.
            StorePermissionDenied: If the credentials do not allow it.
            UnsupportedByStore: If the store cannot evaluate `when`.
            InvalidPath: If `path` is no usable path.
        """
        check_path(path)
        pacer = self._pacer()
        if when is None:
            return put_whole(self.driver, path, data, metadata, pacer)
        return ConditionalPut(
            self.driver,
            path,
            data,
            when,
            metadata,
            id=self.env.new_id(),
            head=self.head,
            get=self.get,
        ).run(pacer)

    def upload(self, path: str, *, part_size: int = PART_SIZE, max_in_flight: int = 4) -> Upload:
        """Begin to write an object of any size; it appears when the upload is closed.

        Args:
            path: Below the root; replaces what is there.
            part_size: Bytes; below it one request is sent, from it on a multipart upload. S3 wants
                at least 5 MiB.
            max_in_flight: Parts sent at the same time; bounds memory.

        Raises:
            InvalidPath: If `path` is no usable path.
        """
        check_path(path)
        return Upload(
            path,
            part_size,
            put=lambda data: self.put(path, data),
            start=lambda: self._asking(
                lambda: self.driver.start_upload(
                    path, part_size=part_size, max_in_flight=max_in_flight
                )
            ),
        )

    def delete(self, path: str) -> None:
        """Delete an object; a missing one is no error. Raises as `get` does."""
        delete_whole(self.driver, path, self._pacer())

    def delete_many(self, paths: Iterable[str]) -> None:
        """Delete objects, in batches where the service can; missing ones are no error.

        Raises:
            StoreError: At the first deletion that fails; others may have been carried out.
        """
        given = list(paths)
        self._asking(lambda: self.driver.delete_many(given))

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """Give all objects below a folder, at any depth, in ascending order of path.

        Args:
            prefix: The folder; empty for the root.
            start_after: A whole path; only greater paths, by code point, are given.

        Raises:
            StoreUnavailable: If the store did not answer until the budget ended. Each object given
                renews the budget, and a listing goes on behind the last one.
        """
        pacer: Pacer | None = None
        while True:
            try:
                for meta in self.driver.list(prefix, start_after=start_after):
                    start_after, pacer = meta.path, None
                    yield meta
            except StoreUnavailable:
                pacer = pacer or self._pacer()
                if not pacer.pause():
                    raise
            else:
                return

    def _asking(self, ask: Callable[[], _T]) -> _T:
        pacer = self._pacer()
        while True:
            try:
                return ask()
            except StoreUnavailable:
                if not pacer.pause():
                    raise

    def _pacer(self) -> Pacer:
        return Pacer(self.retry, self.env)
