"""Attempts at one write, and what they add up to.

A conditional write whose attempts were all answered is clear. Once one went unanswered it may have
landed, and then the next attempt is refused because of our own write. So:

* refused, and the object carries this write's id: it was ours, the write succeeded;
* create-if-absent, and the object is certainly another's: refused. Keys that are created if absent
  are taken not to be replaced later;
* `IfMatch`, and the object is another's: unknown. Ours may have landed before it and been replaced;
* no object, or one that a store without user metadata cannot tell from ours: unknown.
"""

from collections.abc import Callable, Mapping

from atomic_manifest.errors import (
    AlreadyExists,
    Conflict409,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
    WriteOutcomeUnknown,
)
from atomic_manifest.store.conditions import Condition, ETag, IfAbsent
from atomic_manifest.store.driver import (
    Contended,
    ContendedCause,
    Data,
    Deleted,
    Driver,
    Object,
    ObjectMeta,
    Refused,
    Unanswered,
    WriteOutcome,
    Written,
)
from atomic_manifest.store.pacing import Pacer

WRITE_ID = "atomic-manifest-write"
"""The user metadata key that holds the id of a conditional write."""


def put_whole(
    driver: Driver, path: str, data: Data, metadata: Mapping[str, str] | None, pacer: Pacer
) -> ObjectMeta:
    """Write unconditionally; tried again until written, since writing twice is the same.

    Raises:
        StoreUnavailable: If the budget ended first.
        Conflict409: If it ended with every attempt declined because of another operation.
    """
    while True:
        outcome = driver.put(path, data, metadata=metadata)
        match outcome:
            case Written(meta):
                return meta
            case Refused(current):
                raise _refused(path, None, current)
            case Contended() | Unanswered():
                if not pacer.pause():
                    raise _gave_up(path, outcome)


def delete_whole(driver: Driver, path: str, pacer: Pacer) -> None:
    """Delete unconditionally; tried again until it is gone.

    Raises:
        StoreUnavailable: If the budget ended first.
        Conflict409: If it ended with every attempt declined because of another operation.
    """
    while True:
        outcome = driver.delete(path)
        match outcome:
            case Deleted():
                return
            case Refused(current):
                raise _refused(path, None, current)
            case Contended() | Unanswered():
                if not pacer.pause():
                    raise _gave_up(path, outcome)


def finished(path: str, outcome: WriteOutcome) -> ObjectMeta:
    """What the end of an unconditional upload came to, which is one attempt.

    Raises:
        StoreUnavailable: If it went unanswered or was declined.
        Conflict409: If another operation was in flight.
    """
    match outcome:
        case Written(meta):
            return meta
        case Refused(current):
            raise _refused(path, None, current)
        case Contended() | Unanswered():
            raise _gave_up(path, outcome)


class ConditionalPut:
    """One conditional write, over all its attempts.

    Args:
        driver: Makes the single attempts.
        path: A checked path.
        data: The object's bytes.
        when: The condition.
        metadata: The caller's user metadata.
        id: Fresh; tells this write from all others.
        head: Looks at an object, with retries.
        get: Reads an object, with retries.
    """

    def __init__(
        self,
        driver: Driver,
        path: str,
        data: Data,
        when: Condition,
        metadata: Mapping[str, str] | None,
        *,
        id: str,
        head: Callable[[str], ObjectMeta],
        get: Callable[[str], Object],
    ) -> None:
        self._driver = driver
        self._path = path
        self._data = data
        self._when = when
        self._id = id
        self._head = head
        self._get = get
        self._metadata = {**(metadata or {}), WRITE_ID: id}
        self._unanswered: Unanswered | None = None

    def run(self, pacer: Pacer) -> ObjectMeta:
        """Make the attempts. Raises as `ObjectStore.put` says."""
        while True:
            outcome = self._driver.put(
                self._path, self._data, when=self._when, metadata=self._metadata
            )
            match outcome:
                case Written(meta):
                    return meta
                case Refused(current):
                    if self._unanswered is None:
                        raise _refused(self._path, self._when, current)
                    return self._settle()
                case Unanswered():
                    self._unanswered = outcome
                case Contended():
                    pass
            if not pacer.pause():
                if self._unanswered is None:
                    raise _gave_up(self._path, outcome)
                return self._settle()

    def _settle(self) -> ObjectMeta:
        """Look at the object to learn whether an unanswered attempt was the one that landed."""
        assert self._unanswered is not None  # noqa: S101 - nothing to settle otherwise
        found = self._look()
        if found is not None and found.metadata.get(WRITE_ID) == self._id:
            return found
        if found is not None and isinstance(self._when, IfAbsent) and self._is_anothers(found):
            raise _refused(self._path, self._when, found.etag)
        raise WriteOutcomeUnknown(
            f"{self._path}: the write went unanswered, and it cannot be told whether it landed"
            f" ({self._unanswered.cause})",
            path=self._path,
        ) from self._unanswered.cause

    def _look(self) -> ObjectMeta | None:
        try:
            return self._head(self._path)
        except StoreError:
            return None

    def _is_anothers(self, found: ObjectMeta) -> bool:
        view = memoryview(self._data).cast("B")  # Arrow's buffers are signed
        if WRITE_ID in found.metadata or found.size != view.nbytes:
            return True
        try:
            return self._get(self._path).data != view
        except StoreError:
            return False


def _refused(path: str, when: Condition | None, current: ETag | None) -> PreconditionFailed:
    if isinstance(when, IfAbsent):
        return AlreadyExists(
            f"{path} already exists", path=path, condition=when, current_etag=current
        )
    state = "the object is not there" if current is None else f"the object's ETag is {current}"
    return PreconditionFailed(
        f"{path}: {when!r} does not hold, {state}", path=path, condition=when, current_etag=current
    )


def _gave_up(path: str, outcome: Contended | Unanswered) -> StoreError:
    if isinstance(outcome, Unanswered):
        error = StoreUnavailable(f"{path}: not written: {outcome.cause}", path=path)
        error.__cause__ = outcome.cause
        return error
    if outcome.cause is ContendedCause.CONFLICT:
        return Conflict409(f"{path}: other operations on it kept being in flight", path=path)
    return StoreUnavailable(f"{path}: too many requests, the store keeps declining", path=path)
