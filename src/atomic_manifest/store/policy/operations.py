"""Every operation of a store as steps: arguments checked, policy applied, nothing performed.

`ObjectStore` and `AsyncObjectStore` perform what these functions yield; what the operations mean, and
what they raise, is said there. What only some operations need is loaded by them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.store.conditions import (
    Condition,
    ETag,
    IfAbsent,
    IfMatch,
    check_condition,
    sendable,
)
from atomic_manifest.store.driver import Data, Object, ObjectMeta, check_path
from atomic_manifest.store.policy.attempts import WRITE_ID, asking
from atomic_manifest.store.policy.bodies import Body, ReadInThread, in_memory
from atomic_manifest.store.policy.calls import Call, Steps
from atomic_manifest.store.policy.pacing import Policy
from atomic_manifest.store.policy.writing import Write

if TYPE_CHECKING:
    from atomic_manifest.store.policy.assembly import Assembly
    from atomic_manifest.store.policy.checksums import Checksum

_EITHER = (IfAbsent, IfMatch)


@dataclass(slots=True)
class PutRequest:
    """The arguments of `ObjectStore.put` but path and body."""

    when: Condition | None = None
    metadata: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    checksum: "Checksum | None" = None


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of one store.

    Attributes:
        policy: What they go by.
        multipart_threshold: Bytes; a larger body is put as a multipart upload.
        keeps_metadata: Whether the driver keeps user metadata.
        in_thread: See `policy.sources.ReadInThread`.
    """

    policy: Policy
    multipart_threshold: int
    keeps_metadata: bool
    in_thread: ReadInThread | None = None

    def get(
        self, path: str, range: tuple[int, int] | None, if_none_match: ETag | str | None
    ) -> Steps[Object]:
        """See `ObjectStore.get`."""
        tag = None if if_none_match is None else sendable(if_none_match)
        options = {"range": range, "if_none_match": tag}
        return asking(Call("get", (path,), options), self.policy.pacer())

    def head(self, path: str, if_none_match: ETag | str | None) -> Steps[ObjectMeta]:
        """See `ObjectStore.head`."""
        options = {} if if_none_match is None else {"if_none_match": sendable(if_none_match)}
        return asking(Call("head", (path,), options), self.policy.pacer())

    def put(
        self, path: str, data: Any, request: PutRequest, deadline: float | None = None
    ) -> Steps[ObjectMeta]:
        """See `ObjectStore.put`. No attempt starts after `deadline`."""
        check_path(path)
        check_condition(path, request.when, kinds=_EITHER)
        if request.idempotency_key is not None:
            self._check_key(path, request.idempotency_key)
        body = in_memory(data, self.in_thread)
        if body is None:
            from atomic_manifest.store.policy.sources import prepare  # noqa: PLC0415 - see above

            body = yield from prepare(path, data, self.multipart_threshold, self.in_thread)
        if request.idempotency_key is None and request.checksum is None:
            write = self._write(path, body, request)
        else:
            write = yield from self._identified(path, body, request)
        write.deadline = deadline
        return (yield from write.run())

    def upload(
        self,
        path: str,
        when: Condition | None,
        metadata: Mapping[str, str] | None,
        part_size: int,
        max_in_flight: int,
    ) -> "Assembly":
        """See `ObjectStore.upload`."""
        from atomic_manifest.store.policy.assembly import Assembly, UploadRequest  # noqa: PLC0415

        check_path(path)
        check_condition(path, when, kinds=_EITHER)
        small = PutRequest(when, metadata)

        def put(data: Data) -> Steps[ObjectMeta]:
            body = Body(data, None, rewindable=True, size=len(data))
            return self._write(path, body, small).run()

        request = UploadRequest(path, when, metadata, part_size, max_in_flight)
        return Assembly(request, self.policy, put, keeps_metadata=self.keeps_metadata)

    def copy(
        self, source: str, path: str, when: Condition | None, source_when: IfMatch | None
    ) -> Steps[ObjectMeta]:
        """See `ObjectStore.copy`."""
        from atomic_manifest.store.policy.copying import Copy  # noqa: PLC0415

        check_path(source)
        check_path(path)
        check_condition(path, when, kinds=_EITHER)
        check_condition(source, source_when, kinds=(IfMatch,))
        return Copy(self.policy, source, path, when, source_when).run()

    def delete(self, path: str, when: IfMatch | None, version: str | None) -> Steps[None]:
        """See `ObjectStore.delete`."""
        from atomic_manifest.store.policy.deleting import Deletion  # noqa: PLC0415

        check_path(path)
        check_condition(path, when, kinds=(IfMatch,))
        return Deletion(self.policy, path, when, version).run()

    def delete_many(self, paths: Iterable[str]) -> Steps[None]:
        """See `ObjectStore.delete_many`."""
        return asking(Call("delete_many", ([*paths],)), self.policy.pacer())

    def update(
        self, path: str, change: Any, attempts: int, deadline: float
    ) -> Steps[Object | None]:
        """See `ObjectStore.update`."""
        from atomic_manifest.store.policy.updating import update  # noqa: PLC0415

        check_path(path)

        def put(data: Data, when: IfAbsent | IfMatch, end: float) -> Steps[ObjectMeta]:
            return self.put(path, data, PutRequest(when), end)

        return update(path, change, put, self.policy, attempts, deadline)

    def _write(
        self,
        path: str,
        body: Body,
        request: PutRequest,
        own: Mapping[str, str] | None = None,
        expected: Mapping[str, str] | None = None,
    ) -> Write:
        """A write with the store's `own` metadata; `expected` digests are checked on the way."""
        when, metadata = request.when, request.metadata
        in_parts = body.data is None or body.size is None or body.size > self.multipart_threshold
        if when is not None or own is not None or in_parts:
            new_id = self.policy.env.new_id()
            metadata = {**(metadata or {}), **(own or {}), WRITE_ID: new_id}
        write = Write(self.policy, path, body, when, metadata, keeps_metadata=self.keeps_metadata)
        if in_parts:
            from atomic_manifest.store.policy.sending import Parts  # noqa: PLC0415

            write.parts = Parts(path, body, metadata, expected or {})
        return write

    def _identified(self, path: str, body: Body, request: PutRequest) -> Steps[Write]:
        """A write that keeps its key, if it has one, and the digests of its body."""
        from atomic_manifest.store.policy import idempotency  # noqa: PLC0415

        key = request.idempotency_key
        digests = yield from idempotency.digests_of(
            path, body, request.checksum, keyed=key is not None
        )
        own = {idempotency.CHECKSUM: idempotency.write_digests(digests)}
        if key is not None:
            own[idempotency.KEY] = key
        unread = body.data is None and not body.rewindable
        write = self._write(path, body, request, own, digests if unread else None)
        if key is not None:
            write.claim = idempotency.claim(path, key, digests, body)
        return write

    def _check_key(self, path: str, key: str) -> None:
        from atomic_manifest.store.policy.idempotency import check_key  # noqa: PLC0415

        check_key(path, key)
        if not self.keeps_metadata:
            raise UnsupportedByStore(
                f"{path}: an idempotency key needs a store that keeps user metadata", path=path
            )
