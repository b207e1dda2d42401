"""Policy over a driver: what is tried again, and how an outcome becomes a value or an exception.

Invariants:

* Reads and deletions are tried again while the store does not answer; they change nothing, or change
  it to the same.
* A conditional write carries a fresh id as user metadata. When the condition fails after an attempt
  that went unanswered, the object is looked at: with our id on it, the write that landed was ours.
* What cannot be settled is said (`WriteOutcomeUnknown`), never guessed.
* A body that can be read only once is sent once.
* A condition that failed is never sent again, and no ETag is kept from one call to the next.

Error semantics: `PreconditionFailed` (and so `AlreadyExists`), `Conflict409`, `Contended` and
`IdempotencyKeyReused` mean that the write is not there; `StoreUnavailable` of an unconditional write
that it may be; everything else is listed at `ObjectStore.put`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Self, TypeVar

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.store.conditions import Condition, ETag, IfMatch
from atomic_manifest.store.driver import Driver, Object, ObjectMeta, refuse_pickling
from atomic_manifest.store.keys import keeps_metadata
from atomic_manifest.store.policy import listing
from atomic_manifest.store.policy.bodies import PART_SIZE, BodyData
from atomic_manifest.store.policy.calls import Steps, run
from atomic_manifest.store.policy.operations import Operations, PutRequest
from atomic_manifest.store.policy.pacing import Policy, Retry
from atomic_manifest.store.upload import Upload

if TYPE_CHECKING:
    from atomic_manifest.store.capabilities import Capabilities
    from atomic_manifest.store.policy.checksums import Checksum
    from atomic_manifest.store.policy.updating import Change

_T = TypeVar("_T")

MULTIPART_THRESHOLD = 64 * 1024 * 1024
"""Bytes of a body above which it is put as a multipart upload, unless told otherwise."""


class ObjectStore:
    """Objects at paths below one root, with conditional writes. Safe to share between threads.

    Args:
        driver: Makes the single attempts.
        env: Clock, randomness and ids.
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
        driver: Driver,
        *,
        env: Env = SYSTEM,
        retry: Retry | None = None,
        multipart_threshold: int = MULTIPART_THRESHOLD,
        capabilities: "Capabilities | None" = None,
    ) -> None:
        self.driver = driver
        self.given_capabilities = capabilities
        self.env = env
        self.retry = Retry() if retry is None else retry
        self.multipart_threshold = multipart_threshold
        found = None if capabilities is None else capabilities.list_order
        self.order = listing.Order(driver, found)
        self._policy = Policy(self.retry, env)
        self._operations = Operations(self._policy, multipart_threshold, keeps_metadata(driver))

    def over(self, driver: Driver) -> Self:
        """The same store over another driver of the same objects, which keeps as much of them."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), driver=driver)
        return other

    @property
    def capabilities(self) -> "Capabilities":
        """What the store can be trusted with: given, known, or else probed once in this process.

        Raises:
            StoreError: If it takes a probe and nothing can be written there.
        """
        from atomic_manifest.store.safety.remembered import capabilities_of  # noqa: PLC0415 - it needs this

        return capabilities_of(self)

    @property
    def url(self) -> str:
        """Where the root is; holds no secret."""
        return self.driver.url

    __reduce__ = refuse_pickling

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | str | None = None,
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
            InvalidRequest: If `if_none_match` cannot be sent.
        """
        return self._run(self._operations.get(path, range, if_none_match))

    def head(self, path: str, *, if_none_match: ETag | str | None = None) -> ObjectMeta:
        """Look at an object without its bytes. Arguments and errors as of `get`."""
        return self._run(self._operations.head(path, if_none_match))

    def put(
        self,
        path: str,
        data: BodyData,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        checksum: "Checksum | None" = None,
    ) -> ObjectMeta:
        """Write a whole object at once.

        Bytes and seekable files are sent again after a failure that a new attempt may mend. Other
        files and iterables of bytes are sent once. Bodies larger than `multipart_threshold` go as a
        multipart upload, whose condition is evaluated when it is completed; a conflict (409) then
        means to look at the key again and to send every part again.

        With an `idempotency_key`, a call that repeats an earlier one writes nothing and returns the
        object that the earlier one wrote. Key and digests are kept as user metadata of that object:
        it is remembered, by every process, for as long as the object is the current one at `path`,
        and forgotten when somebody replaces or deletes it. So of any number of calls with one key
        and body, at the same time or after failures, one writes, until somebody else's write comes
        between; after that a call with `when` fails as a lost race, and one without writes again.
        Such a write is always conditional on what was seen, even without `when`.

        Args:
            path: Below the root.
            data: Bytes, a binary file (from where it stands) or an iterable of bytes.
            when: Write only if this holds at that instant; None writes in any case.
            metadata: User metadata to keep with the object, where the store keeps any.
            idempotency_key: Names this write among all to `path`: 1 to 255 printable ASCII
                characters.
            checksum: `sha256`, `sha1`, `crc32`, `crc32c` or `crc64nvme`: kept as user metadata. Or a
                mapping of such names to Base64 digests, which the body must have: checked before
                anything is sent, and for what is streamed before the object appears. With a key
                and no checksum, `sha256` is taken. A CRC tells bodies apart only by accident.

        Returns:
            What the store says of the written object.

        Raises:
            AlreadyExists: If `when` is `IfAbsent()` and another object is there.
            PreconditionFailed: If `when` is an `IfMatch` that did not hold.
            Conflict409: If other operations on the key were in flight at every attempt. Nothing was
                written.
            IdempotencyKeyReused: If the object there has the same key and another body.
            Contended: If the object changed between every look and write, where both are needed
                (a key without `when`, or a condition that the store takes only for one ETag).
            WriteOutcomeUnknown: If the write is conditional or has a key, an attempt went unanswered,
                and looking at the object does not tell whether it landed.
            StoreUnavailable: If the store declined or did not answer until the budget ended. An
                unconditional write may have landed; a conditional one has not.
            ChecksumMismatch: If the body does not have the given digest.
            StorePermissionDenied: If the credentials do not allow it.
            UnsupportedByStore: If the store cannot evaluate `when`, or a key is given and it keeps
                no user metadata.
            InvalidPath: If `path` is no usable path.
            InvalidRequest: If another argument is none that can be sent.
        """
        request = PutRequest(when, metadata, idempotency_key, checksum)
        return self._run(self._operations.put(path, data, request))

    def upload(
        self,
        path: str,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
        part_size: int = PART_SIZE,
        max_in_flight: int = 4,
    ) -> Upload:
        """Begin to write an object of any size; it appears when the upload is closed.

        Args:
            path: Below the root; replaces what is there.
            when: Let it appear only if this holds when the upload is closed.
            metadata: User metadata to keep with the object, where the store keeps any.
            part_size: Bytes; below it one request is sent, from it on a multipart upload. S3 wants
                at least 5 MiB.
            max_in_flight: Parts sent at the same time; bounds memory.

        Raises:
            InvalidPath: If `path` is no usable path.
            InvalidRequest: If another argument is none that can be sent.
        """
        assembly = self._operations.upload(path, when, metadata, part_size, max_in_flight)
        return Upload(assembly, self._run)

    def copy(
        self,
        src: str,
        dst: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> ObjectMeta:
        """Copy an object within the root, inside the service, with its user metadata.

        Args:
            src: Below the root.
            dst: Below the root.
            when: Copy only if this holds of `dst` at that instant.
            source_when: Copy only if this holds of `src` at that instant.

        Returns:
            What the store says of the copy.

        Raises:
            NotFound: If there is no object at `src`.
            AlreadyExists: If `when` is `IfAbsent()` and an object is at `dst`.
            PreconditionFailed: If a condition did not hold; `path` tells of which object.
            Conflict409: As of `put`.
            WriteOutcomeUnknown: If there is a condition, an attempt went unanswered and none
                succeeded: a copy cannot be marked as ours.
            UnsupportedByStore: If the store cannot copy, or not on this condition.
            StoreError: As of `put`.
        """
        return self._run(self._operations.copy(src, dst, when, source_when))

    def delete(self, path: str, *, when: IfMatch | None = None, version: str | None = None) -> None:
        """Delete an object; without a condition a missing one is no error.

        Args:
            path: Below the root.
            when: Delete only if this holds at that instant.
            version: Remove this version for good (`when` is then asked of it); None deletes the
                current object, which in a bucket with versions leaves a delete marker.

        Raises:
            PreconditionFailed: If `when` did not hold.
            Conflict409: If other operations on the key were in flight at every attempt.
            WriteOutcomeUnknown: If there is a condition, an attempt went unanswered and none
                succeeded: who deleted an object cannot be told.
            UnsupportedByStore: If the store cannot evaluate `when`, or keeps no versions.
            StoreError: As of `get`.
        """
        self._run(self._operations.delete(path, when, version))

    def delete_many(self, paths: Iterable[str]) -> None:
        """Delete objects, in batches where the service can; missing ones are no error.

        Raises:
            StoreError: At the first deletion that fails; others may have been carried out.
        """
        self._run(self._operations.delete_many(paths))

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """Give all objects below a folder, at any depth, in ascending order of path.

        Args:
            prefix: The folder; empty for the root.
            start_after: A whole path; only greater paths, by code point, are given.

        Raises:
            StoreUnavailable: If the store did not answer until the budget ended. Each object given
                renews the budget, and a listing goes on behind the last one.
        """
        return listing.objects(self.driver, self._policy, self.order, prefix, start_after)

    def list_dirs(self, prefix: str = "") -> Iterator[str]:
        """Give the paths of the immediate sub folders of a folder, in ascending order.

        A folder is there as long as an object is below it. Large ones are skipped, not read through.

        Args:
            prefix: The folder; empty for the root.

        Raises:
            StoreUnavailable: As of `list`.
        """
        return listing.folders(self.driver, self._policy, self.order, prefix)

    def update(
        self, path: str, fn: "Change", *, attempts: int = 10, deadline: float = 30.0
    ) -> Object | None:
        """Change an object by a function, as if nobody else wrote at the same time.

        Reads the object, applies `fn` and writes the result on condition that the object is still the
        one read; does so again, after a pause, whenever somebody else was quicker.

        Args:
            path: Below the root.
            fn: Given the object's bytes (None: there is no object), returns the new ones, or None to
                leave things as they are. It is called once for each attempt, and what it raises ends
                the update.
            attempts: Writes at most.
            deadline: Seconds; no attempt starts later.

        Returns:
            The object as written, or as read if `fn` returned None (None: there is none).

        Raises:
            Contended: If others were quicker at every attempt. Nothing was written.
            WriteOutcomeUnknown: If the write went unanswered and cannot be settled. It is not tried
                again: it may have landed.
            UnsupportedByStore: If the store gives no strong ETag, or evaluates no conditions.
            StoreError: As of `get` and `put`.
        """
        return self._run(self._operations.update(path, fn, attempts, deadline))

    def _run(self, steps: Steps[_T]) -> _T:
        return run(steps, self.driver, self.env)
