"""What a driver is: one attempt at one request, its result a value.

Error semantics. A *write* (put, copy, delete, the end of an upload), conditional or not, returns
`Written` (of a deletion `Deleted`), `Refused`, `Contended` or `Unanswered`: a lost race is not an
exception. A *read* returns what it read or raises `NotFound`,
`NotModified`, or `StoreUnavailable` when the one attempt went unanswered (time-out, reset, 408, 429,
5xx). Both raise `StorePermissionDenied`, `UnsupportedByStore` and `InvalidPath` for what no retry can
mend. Types of an SDK never escape. What a driver cannot evaluate it refuses with `UnsupportedByStore`
before anything is sent; it never evaluates a condition by looking first.

Paths are relative to the driver's root, separated by `/`, without a leading one (`check_path`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NoReturn, Protocol, TypeAlias, runtime_checkable

from atomic_manifest.errors import InvalidPath, StoreUnavailable
from atomic_manifest.store.conditions import Condition, ETag, IfMatch

Data: TypeAlias = bytes | bytearray | memoryview


class NeverSent(StoreUnavailable):
    """No connection was made, in the one attempt there was: of a write, too, nothing was sent."""


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """What a store says of one object.

    Attributes:
        path: Relative to the store's root.
        size: Bytes.
        etag: The current entity tag, where the service gives one.
        last_modified: With time zone, where the service gives it.
        metadata: User metadata; keys in lower case.
        version: Of this state of the object, where the bucket keeps versions.
    """

    path: str
    size: int
    etag: ETag | None = None
    last_modified: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object's bytes (or the asked range of them) with what the store says of it."""

    data: bytes
    meta: ObjectMeta


@dataclass(frozen=True, slots=True)
class Written:
    """The write is durable; `meta.etag` is the new ETag."""

    meta: ObjectMeta


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object, or the asked version of it, is gone; without a condition, it may never have been."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The condition did not hold when the service evaluated it (412; 304 of some; 404 on If-Match).

    Attributes:
        current_etag: Of the object, where the answer tells it.
        current: What the answer tells of the object besides; None spares no look.
    """

    current_etag: ETag | None = None
    current: ObjectMeta | None = field(default=None, compare=False, repr=False)


class ContendedCause(Enum):
    """Why a service would not even evaluate the condition."""

    CONFLICT = "409"
    """Another operation on the key was in flight. Not "exists": send the same request again."""
    THROTTLED = "429"
    """Too many writes of one key. On a log entry this is a lost race: somebody else is writing it."""


@dataclass(frozen=True, slots=True)
class Contended:
    """The service declined for now; this attempt wrote nothing."""

    cause: ContendedCause


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No answer, or one that proves nothing (time-out, reset, 408, 5xx): it may have landed."""

    cause: BaseException


WriteOutcome: TypeAlias = Written | Refused | Contended | Unanswered
DeleteOutcome: TypeAlias = Deleted | Refused | Contended | Unanswered


@runtime_checkable
class DriverUpload(Protocol):
    """A multipart upload in progress. Nothing is visible at the path before `finish` returns."""

    def write(self, data: Data) -> None:
        """Take the next bytes of the object; may block while `max_in_flight` parts are under way.

        `data` does not change any more: it may be kept until it is sent.
        """
        ...

    def finish(self) -> WriteOutcome:
        """Complete the upload, if its condition holds at this instant.

        After `Refused` and `Contended` nothing of it is left at the path, and `abort` removes the
        parts. A service that was `Contended` here wants a new upload, with all its parts.
        """
        ...

    def abort(self) -> None:
        """Give up and leave no parts behind. Safe to call twice, and after a failed `finish`."""
        ...


@runtime_checkable
class Driver(Protocol):
    """One attempt at each request. See the module docstring for what is returned and raised."""

    @property
    def url(self) -> str:
        """Where the root is, for messages; holds no secret."""
        ...

    def get(
        self,
        path: str,
        *,
        range: tuple[int, int] | None = None,
        if_none_match: ETag | None = None,
    ) -> Object:
        """Read an object, or bytes [start, end) of it."""
        ...

    def head(self, path: str, *, if_none_match: ETag | None = None) -> ObjectMeta:
        """Look at an object without its bytes."""
        ...

    def put(
        self,
        path: str,
        data: Data,
        *,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> WriteOutcome:
        """Write a whole object at once, if the condition holds at that instant."""
        ...

    def start_upload(
        self,
        path: str,
        *,
        part_size: int,
        max_in_flight: int,
        when: Condition | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> DriverUpload:
        """Begin a multipart upload, whose condition is evaluated when it is finished.

        Inner retries of parts are the driver's own: parts are idempotent. The completion is one
        attempt if there is a condition.
        """
        ...

    def copy(
        self,
        source: str,
        path: str,
        *,
        when: Condition | None = None,
        source_when: IfMatch | None = None,
    ) -> WriteOutcome:
        """Copy within the root, inside the service, with user metadata.

        `when` is asked of the destination, `source_when` of the source; either refuses. Raises
        `NotFound` if there is no source.
        """
        ...

    def delete(
        self, path: str, *, when: IfMatch | None = None, version: str | None = None
    ) -> DeleteOutcome:
        """Delete; without a condition a missing object is no error.

        In a bucket with versions this leaves a delete marker, unless `version` is given: then that
        version is removed for good, and it is its ETag that `when` is asked of.
        """
        ...

    def delete_many(self, paths: Iterable[str]) -> None:
        """Delete all; missing objects are no error. Batched where the service can."""
        ...

    def list(self, prefix: str = "", *, start_after: str | None = None) -> Iterator[ObjectMeta]:
        """All objects below the folder `prefix`, at any depth, in ascending order of path.

        `start_after` is a whole path; only greater paths (by code point) are given.
        """
        ...


def refuse_pickling(self: object) -> NoReturn:
    """What stands as `__reduce__` in classes whose instances hold credentials and connections."""
    raise TypeError(
        f"an instance of {type(self).__name__} holds connections and credentials and cannot be pickled:"
        " give the other process the URL and the storage options, and open the store there"
    )


def check_path(path: str) -> str:
    """Return `path` if it is a usable key, else raise `InvalidPath`.

    A usable key is relative, not empty, and has no empty, `.` or `..` segment and no NUL.
    """
    if not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidPath(f"not a path below the store's root: {path!r}", path=path)
    return path
