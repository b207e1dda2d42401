"""One attempt at writing an object in parts.

A multipart upload whose end is not `Written` is aborted, so that no parts stay behind; the condition
is evaluated when it is completed. After a conflict (409) a service wants a new upload with all its
parts, which is why an attempt always starts from the first byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from atomic_manifest.errors import StoreError, StoreUnavailable
from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.driver import Data, ObjectMeta, WriteOutcome, Written
from atomic_manifest.store.policy import checksums
from atomic_manifest.store.policy.attempts import WRITE_ID, NotSent
from atomic_manifest.store.policy.bodies import PART_SIZE, Body
from atomic_manifest.store.policy.calls import Call, Steps

MAX_IN_FLIGHT = 4
"""Parts sent at the same time, unless told otherwise."""

MAX_PARTS = 10_000
"""Of one multipart upload on Amazon S3; bodies of known size get parts large enough."""

Sent: TypeAlias = WriteOutcome | NotSent


@dataclass(slots=True)
class Parts:
    """Sends one body as a multipart upload, as often as asked.

    Attributes:
        path: Of the object.
        body: What to send.
        metadata: To keep with the object.
        expected: Digests that a body has which could not be read before; checked before the object
            appears.
    """

    path: str
    body: Body
    metadata: Mapping[str, str] | None
    expected: Mapping[str, str]

    def send(self, when: Condition | None) -> Steps[Sent]:
        """Make one attempt."""
        part_size = max(PART_SIZE, -(-(self.body.size or 0) // MAX_PARTS))
        options = {
            "part_size": part_size,
            "max_in_flight": MAX_IN_FLIGHT,
            "when": when,
            "metadata": self.metadata,
        }
        try:
            upload = yield Call("start_upload", (self.path,), options)
        except StoreUnavailable as error:
            return NotSent(error)
        try:
            yield from self._send(upload, part_size)
        except StoreUnavailable as error:
            yield from abort(upload)
            return NotSent(error)
        except BaseException:
            yield from abort(upload)
            raise
        return (yield from finish(upload, self.path, (self.metadata or {}).get(WRITE_ID)))

    def _send(self, upload: object, part_size: int) -> Steps[None]:
        body, size = self.body, 0
        digests = {algorithm: checksums.new(algorithm) for algorithm in self.expected}
        if body.data is None and body.rewindable:
            yield Call("rewind", on=body.source)
        view = None if body.data is None else memoryview(body.data).cast("B")
        while True:
            if view is None:
                part: Data = yield Call("read", (part_size,), on=body.source)
            else:
                part = view[size : size + part_size]
            if not part:
                break
            size += len(part)
            for digest in digests.values():
                yield from checksums.extend(digest, part, body.in_thread)
            yield Call("write", (part,), on=upload)
        if body.size is not None and size != body.size:
            raise StoreError(f"{self.path}: the body changed while it was sent", path=self.path)
        for algorithm, digest in digests.items():
            found = checksums.encode(digest.digest())
            checksums.compare(self.path, algorithm, self.expected[algorithm], found)


def finish(upload: object, path: str, id: str | None) -> Steps[WriteOutcome]:
    """Complete a multipart upload; aborts it unless that succeeds.

    Args:
        upload: Has all its parts.
        path: Of the object.
        id: In its metadata, if any; then an ETag that the service did not tell is looked up.
    """
    try:
        outcome: WriteOutcome = yield Call("finish", on=upload)
    except BaseException:
        yield from abort(upload)
        raise
    if not isinstance(outcome, Written):
        yield from abort(upload)
    elif id is not None and outcome.meta.etag is None:
        try:
            found: ObjectMeta = yield Call("head", (path,))
        except StoreError:
            return outcome
        if found.metadata.get(WRITE_ID) == id:
            return Written(found)
    return outcome


def abort(upload: object) -> Steps[None]:
    """Give an upload up. Parts that cannot be removed matter less than what is to be told."""
    try:
        yield Call("abort", on=upload)
    except StoreError:
        return
