"""The asynchronous store: the same operations, steps and decisions as `ObjectStore`.

Cancelling a task abandons its operation as a lost answer would: a write may have landed. What it had
begun to upload in parts is aborted.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from atomic_manifest.env import SYSTEM, AsyncEnv
from atomic_manifest.errors import InvalidRequest, UnsupportedByStore
from atomic_manifest.store.async_driver import AsyncDriver
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import Object, ObjectMeta, refuse_pickling
from atomic_manifest.store.in_threads import InThreads
from atomic_manifest.store.keys import keeps_metadata
from atomic_manifest.store.object_store import MULTIPART_THRESHOLD, ObjectStore
from atomic_manifest.store.policy import listing
from atomic_manifest.store.policy.bodies import PART_SIZE, AsyncBodyData
from atomic_manifest.store.policy.calls import Steps, run_async
from atomic_manifest.store.policy.operations import Operations, PutRequest
from atomic_manifest.store.policy.pacing import Policy, Retry
from atomic_manifest.store.upload import AsyncUpload
from atomic_manifest.threads import from_loop

if TYPE_CHECKING:
    from atomic_manifest.store.capabilities import Capabilities
    from atomic_manifest.store.policy.checksums import Checksum
    from atomic_manifest.store.policy.updating import AsyncChange

_T = TypeVar("_T")


class AsyncObjectStore:
    """An `ObjectStore` for asyncio. To be used in one event loop; `async with` closes it.

    Args:
        driver: Makes the single attempts.
        env: Clock, randomness, ids and pauses.
        retry: Bounds of the attempts at each request.
        multipart_threshold: Bytes; a body that is larger is put as a multipart upload.
        capabilities: What the store can be trusted with, where that is known without a probe.

    Attributes:
        driver: As given.
        env: As given.
        retry: As given.
        given_capabilities: `capabilities` as given.
        order: What is known of the order in which the service lists.
    """

    def __init__(
        self,
        driver: AsyncDriver,
        *,
        env: AsyncEnv = SYSTEM,
        retry: Retry | None = None,
        multipart_threshold: int = MULTIPART_THRESHOLD,
        capabilities: "Capabilities | None" = None,
    ) -> None:
        self.driver = driver
        self.given_capabilities = capabilities
        self._blocking: ObjectStore | None = None
        self.env = env
        self.retry = Retry() if retry is None else retry
        self.multipart_threshold = multipart_threshold
        found = None if capabilities is None else capabilities.list_order
        self.order = listing.Order(driver, found)
        self._policy = Policy(self.retry, env)
        self._operations = Operations(
            self._policy, multipart_threshold, keeps_metadata(driver), _in_thread
        )

    @classmethod
    def of(cls, store: ObjectStore) -> Self:
        """Give the asynchronous twin of a store: same place, same bounds.

        Its driver is the one that `store.driver.as_async()` returns; a driver without that method
        runs in threads.

        Raises:
            InvalidRequest: If the store's `env` cannot pause without blocking.
        """
        if not hasattr(store.env, "sleep_async"):
            raise InvalidRequest("the store's env has no sleep_async", path="")
        native = getattr(store.driver, "as_async", None)
        driver: AsyncDriver = InThreads(store.driver) if native is None else native()
        twin = cls(
            driver,
            env=cast("AsyncEnv", store.env),
            retry=store.retry,
            multipart_threshold=store.multipart_threshold,
            capabilities=store.given_capabilities,
        )
        twin._blocking, twin.order = store, store.order
        return twin

    async def capabilities(self) -> "Capabilities":
        """What the store can be trusted with: given, known, or else probed once in this process.

        A probe runs in threads, and goes on to its end if the task is cancelled.

        Raises:
            UnsupportedByStore: If it takes a probe and the driver is one that only asyncio can use:
                give `capabilities`, or make the store by `of`.
            StoreError: If it takes a probe and nothing can be written there.
        """
        if self.given_capabilities is not None:
            return self.given_capabilities
        store = self._blocking
        if store is None and isinstance(self.driver, InThreads):
            store = ObjectStore(self.driver.driver, env=self.env, retry=self.retry)
        if store is None:
            raise UnsupportedByStore(f"{self.url}: an asynchronous driver is not probed", path="")
        found: Capabilities = await _in_thread(lambda: store.capabilities)
        return found

    @property
    def url(self) -> str:
        """Where the root is; holds no secret."""
        return self.driver.url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"AsyncObjectStore({self.url!r})"

    async def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | str | None = None,
    ) -> Object:
        """See `ObjectStore.get`."""
        return await self._run(self._operations.get(path, range, if_none_match))

    async def head(self, path: str, *, if_none_match: ETag | str | None = None) -> ObjectMeta:
        """See `ObjectStore.head`."""
        return await self._run(self._operations.head(path, if_none_match))

    async def put(
        self,
        path: str,
        data: AsyncBodyData,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        checksum: "Checksum | None" = None,
    ) -> ObjectMeta:
        """See `ObjectStore.put`. Takes asynchronous iterables of bytes too.

        Files and iterables are read in threads.
        """
        request = PutRequest(when, metadata, idempotency_key, checksum)
        return await self._run(self._operations.put(path, data, request))

    def upload(
        self,
        path: str,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
        part_size: int = PART_SIZE,
        max_in_flight: int = 4,
    ) -> AsyncUpload:
        """See `ObjectStore.upload`. Not a coroutine: use it as `async with store.upload(...)`."""
        assembly = self._operations.upload(path, when, metadata, part_size, max_in_flight)
        return AsyncUpload(assembly, self._run)

    async def copy(
        self,
        src: str,
        dst: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> ObjectMeta:
        """See `ObjectStore.copy`."""
        return await self._run(self._operations.copy(src, dst, when, source_when))

    async def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> None:
        """See `ObjectStore.delete`."""
        await self._run(self._operations.delete(path, when, version))

    async def delete_many(self, paths: Iterable[str]) -> None:
        """See `ObjectStore.delete_many`."""
        await self._run(self._operations.delete_many(paths))

    def list(
        self, prefix: str = "", *, start_after: str | None = None
    ) -> AsyncIterator[ObjectMeta]:
        """See `ObjectStore.list`; to be iterated with `async for`."""
        return listing.objects_async(
            self.driver, self._policy, self.env, self.order, prefix, start_after
        )

    def list_dirs(self, prefix: str = "") -> AsyncIterator[str]:
        """See `ObjectStore.list_dirs`; to be iterated with `async for`."""
        return listing.folders_async(self.driver, self._policy, self.env, self.order, prefix)

    async def update(
        self, path: str, fn: "AsyncChange", *, attempts: int = 10, deadline: float = 30.0
    ) -> Object | None:
        """See `ObjectStore.update`. `fn` is a function or a coroutine function."""
        return await self._run(self._operations.update(path, fn, attempts, deadline))

    async def close(self) -> None:
        """Let go of connections and threads. Closing twice does nothing."""
        await self.driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[_T]) -> _T:
        return await run_async(steps, self.driver, self.env)


async def _in_thread(function: Any, *args: Any) -> Any:
    return await from_loop(function, *args)
