"""Every error this library raises, on purpose few and prescriptive.

Invariants:

* Every class derives from `AtomicManifestError`; where Python has a builtin of the same meaning it is
  a co-base, so `except FileNotFoundError` works as users of fsspec and pyarrow expect.
* `retryable` is a property of the class: doing the same call again later may succeed, and is safe.
* What the error is about (path, version, feature, column) is kept as attributes, and every error
  survives pickling, because jobs raise them in other processes.
* Messages name the thing and never hold credentials.
"""

from typing import Any, ClassVar


class AtomicManifestError(Exception):
    """Base of all errors of this library.

    Args:
        message: What is wrong, naming the thing.
        **details: Kept as attributes of the same names.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(
    cls: type[AtomicManifestError], message: str, details: dict[str, Any]
) -> AtomicManifestError:
    return cls(message, **details)


# --- store ---------------------------------------------------------------------------------------


class StoreError(AtomicManifestError):
    """An object store refused or failed. `path` names the object, relative to the store's root."""

    path: str


class NotFound(StoreError, FileNotFoundError):
    """The object does not exist."""


class NotModified(StoreError):
    """A conditional read found the ETag the caller already has (HTTP 304)."""


class PreconditionFailed(StoreError):
    """The condition of a write did not hold (HTTP 412): read again, decide again.

    `condition` is the condition that failed; `current_etag` the object's ETag where the service or one
    look could tell it, else None. It is None too if there is no object.
    """

    condition: Any
    current_etag: Any


class AlreadyExists(PreconditionFailed, FileExistsError):
    """A create-if-absent met an existing object."""


class Conflict409(StoreError):
    """Another operation on the key was in flight (HTTP 409), again and again; nothing was written."""

    retryable = True


class Contended(StoreError):
    """A bounded read-modify-write loop lost every race; nothing of it was written."""

    retryable = True


class StoreUnavailable(StoreError, ConnectionError):
    """The store did not answer, or answered 429/5xx, until the retry budget ended."""

    retryable = True


class WriteOutcomeUnknown(StoreError):
    """A conditional write went unanswered and could not be settled: it may or may not have landed."""


class IdempotencyKeyReused(StoreError):
    """The object there was written with the same idempotency key and another body.

    Nothing was written. `idempotency_key` names the key.
    """

    idempotency_key: str


class ChecksumMismatch(StoreError, ValueError):
    """The body is not the one that the given digest is of. Nothing was written."""

    algorithm: str


class InvalidRequest(StoreError, ValueError):
    """An argument that no store can take, such as an ETag with a line break. Nothing was written."""


class StorePermissionDenied(StoreError, PermissionError):
    """The store refused the credentials (HTTP 401 or 403)."""


class UnsupportedByStore(StoreError, NotImplementedError):
    """The store cannot do this operation, or would do it unsafely."""


class InvalidPath(StoreError, ValueError):
    """A path that is absolute, empty or climbs out of the store's root."""


class InvalidStorageOption(StoreError, ValueError):
    """A storage option that no driver knows, or with a value it cannot have. `option` names it."""

    option: str


# --- log -----------------------------------------------------------------------------------------


class LogError(AtomicManifestError):
    """The table's log cannot be used as asked."""


class TableNotFound(LogError, FileNotFoundError):
    """There is no Delta log at the location."""


class TableAlreadyExists(LogError, FileExistsError):
    """A table is already there, and the call was to create one."""


class TableReplaced(LogError):
    """The table that a handle was opened on is no longer there: dropped, or dropped and made anew.

    Nothing of the call is in the log. Open the table again. `url` says where it was.
    """

    url: str


class VersionNotFound(LogError, LookupError):
    """The asked version or timestamp is not in the log. `version` names it where known."""

    version: int | None


class CorruptLog(LogError, ValueError):
    """A log file is missing, damaged or contradicts the protocol. `path` and `version` name it.

    `damaged` is false of bytes that are whole as far as it shows, and still nothing that can be used.
    """

    path: str
    version: int | None
    damaged: bool = True


class UnsupportedTableFeature(LogError, NotImplementedError):
    """The table needs protocol features this library lacks; nothing was touched. `names` lists them."""

    names: tuple[str, ...]


# --- data ----------------------------------------------------------------------------------------


class DataError(AtomicManifestError, ValueError):
    """The given data, filter or argument does not fit the table. Nothing was committed."""


class SchemaMismatch(DataError):
    """Columns or types do not fit the table's schema. `columns` names them."""

    columns: tuple[str, ...]


class InvalidSchema(DataError):
    """A schema that a Delta table cannot have. `columns` names the columns at fault."""

    columns: tuple[str, ...]


class NullsInColumn(DataError):
    """Nulls in a column that the table declares non-null. `column` names it."""

    column: str


class InvalidFilter(DataError):
    """A filter that cannot be understood, or names a column the table lacks."""


# --- commit --------------------------------------------------------------------------------------


class CommitError(AtomicManifestError):
    """A commit did not go through. `commit_id` names it."""

    commit_id: str


class CommitConflict(CommitError):
    """A concurrent commit truly conflicts with this one, which is certainly not in the log.

    `conflicts` holds every conflict found, `version` the winner's version. Read the table again and
    redo the work on what it holds now.
    """

    conflicts: tuple[Any, ...]
    version: int


class TransactionOutOfOrder(CommitError, ValueError):
    """A `txn` with a lower version than the table records of its application; nothing was committed.

    A table keeps the highest version of an application and no other, so whether this one was written
    before cannot be told. `app_id` names the application, `given` and `recorded` the two versions. Give
    work that may come in any order an application id for each piece.
    """

    app_id: str
    given: int
    recorded: int


class CommitContended(CommitError):
    """The budget of attempts or time ended; the commit is certainly not in the log. Try again."""

    retryable = True


class CommitOutcomeUnknown(CommitError):
    """The budget ended while an attempt was still unanswered: the commit may be in the log.

    `versions` are those it may have. `Table.resolve(commit_id)` tells later, from any process. Do not
    write the data again before it is resolved, unless with the same `txn`.
    """

    versions: tuple[int, ...]


class TransactionEnded(CommitError, RuntimeError):
    """A transaction was used outside its `with` block; each is good for one block."""


class TableIsAppendOnly(CommitError, PermissionError):
    """`delta.appendOnly` is set and the operation would remove rows."""
