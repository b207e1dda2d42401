"""Work that is done again, on what the table holds by then, when another commit came between.

Invariant: an attempt that is followed by another is certainly not in the log. So neither an unknown
outcome nor an error of the caller's own code is ever followed by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from atomic_manifest.arguments import whole_number
from atomic_manifest.commit.plan import same_layout
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.data.filter.binding import Binder
from atomic_manifest.data.filter.filters import Filter, bound
from atomic_manifest.data.input.once import Inputs
from atomic_manifest.data.read.rows import requirement
from atomic_manifest.errors import CommitConflict, CommitContended, DataError
from atomic_manifest.handle import Handle, nothing_to_commit
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.removal import check_may_remove
from atomic_manifest.staging import Incoming, WriteRequest, stage
from atomic_manifest.transaction import Transaction, check_given, deletable
from atomic_manifest.workspace import Tallies

T = TypeVar("T")

_ATTEMPTS = 100
_PAUSE_SECONDS = 0.01
_PAUSE_SECONDS_AT_MOST = 1.0
_PATIENT = 3
_DOUBLINGS = 3


@dataclass(frozen=True, slots=True)
class RunResult(Generic[T]):
    """What came of `Table.run`.

    Attributes:
        value: What the function returned in the attempt that was committed; None if it was not called
            because the table records `txn` already.
        commit: The commit; None if there was nothing to commit.
        attempts: How often the function was called.
    """

    value: T | None
    commit: CommitResult | None
    attempts: int


def run(
    handle: Handle,
    body: Callable[[Transaction], T],
    *,
    attempts: int,
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
) -> RunResult[T]:
    """See `Table.run`."""
    attempts = whole_number("attempts", attempts)
    if attempts < 1:
        raise DataError(f"attempts must be at least 1, got {attempts}")
    binder, inputs, pacing, tallies = Binder(), Inputs(), _Pacing(handle), Tallies()
    for attempt in range(1, attempts + 1):
        done = handle.recorded(txn)
        if done is not None:
            return RunResult(None, done, attempt - 1)
        transaction = Transaction(
            handle,
            txn=txn,
            commit_info=commit_info,
            binder=binder,
            inputs=inputs,
            tallies=tallies,
        )
        try:
            with transaction:
                value = body(transaction)
        except (CommitConflict, CommitContended) as error:
            if attempt == attempts or error.commit_id != transaction.commit_id:
                raise
            inputs.begin_again()
            pacing.step_back(error)
            tallies.refused = True
        else:
            return RunResult(value, transaction.result, attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")  # pragma: no cover


def delete(handle: Handle, where: Filter, request: WriteRequest) -> CommitResult:
    """See `Table.delete`."""
    check_given(where)
    check_may_remove(handle.writable(), "")
    where = bound(where)
    tallies = Tallies()

    def begin() -> Transaction:
        return Transaction(handle, txn=request.txn, commit_info=request.user_info, tallies=tallies)

    def body(transaction: Transaction) -> None:
        transaction.delete_where(where, request)

    result = _again_on_conflict(handle, begin, body, tallies, None)
    return result or nothing_to_commit(handle.snapshot)


def overwrite_where(
    handle: Handle, rows: Incoming, where: Filter, request: WriteRequest
) -> CommitResult:
    """See `Table.overwrite`. The new rows are uploaded once, whatever happens."""
    snapshot = handle.writable()
    if (done := handle.recorded(request.txn)) is not None:
        return done
    check_may_remove(snapshot, "")
    where = bound(where)
    predicate = deletable(where, rows.schema)
    staged = stage(
        handle.store,
        handle.env,
        rows.reader,
        schema=rows.schema,
        partition_by=snapshot.partition_columns,
        request=replace(request, check=requirement(predicate, rows.schema)),
        mapping=snapshot.column_mapping,
        configuration=snapshot.configuration,
        grown=rows.grown,
    )

    tallies = Tallies()

    def begin() -> Transaction:
        return Transaction(
            handle,
            txn=request.txn,
            commit_info=request.user_info,
            commit_id=staged.commit_id,
            tallies=tallies,
        )

    def body(transaction: Transaction) -> None:
        transaction.replace_where(where, staged, request)

    with handle.discarding(staged.adds):
        result = _again_on_conflict(handle, begin, body, tallies, snapshot)
    if result is None or result.already_committed:
        handle.discard(staged.adds)
    return result or nothing_to_commit(handle.snapshot)


def _again_on_conflict(
    handle: Handle,
    begin: Callable[[], Transaction],
    body: Callable[[Transaction], None],
    tallies: Tallies,
    staged_for: Snapshot | None,
) -> CommitResult | None:
    """Attempt until no conflict is met, or files staged for a snapshot no longer fit the table."""
    pacing = _Pacing(handle)
    for _ in range(1, _ATTEMPTS):
        try:
            return _attempt(handle, begin, body)
        except CommitConflict as error:
            pacing.step_back(error)
            tallies.refused = True
            now = handle.snapshot.metadata
            if staged_for is not None and not same_layout(staged_for.metadata, now):
                raise
    return _attempt(handle, begin, body)


def _attempt(
    handle: Handle, begin: Callable[[], Transaction], body: Callable[[Transaction], None]
) -> CommitResult | None:
    """One commit; where there is nothing to change, the latest version is looked at before that is said."""
    with begin() as transaction:
        seen = transaction.version
        body(transaction)
    if transaction.result is None and handle.refresh().version > seen:
        with begin() as transaction:
            body(transaction)
    return transaction.result


class _Pacing:
    """Gives others the time to finish, then sees what they did.

    A pause is at most as long as the attempt was that was refused. It grows up to eight times that after
    the third refusal in a row by commits of this library, whose writers step back, too. Writers of other
    libraries try again at once: who pauses longer each time beside them never gets on.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._ours_in_a_row = 0
        self._began = handle.env.monotonic()

    def step_back(self, error: CommitConflict | CommitContended) -> None:
        """Pause after this refusal, then move the handle on."""
        env = self._handle.env
        conflicts = error.conflicts if isinstance(error, CommitConflict) else ()
        unit = max(_PAUSE_SECONDS, env.monotonic() - self._began)
        most = _PAUSE_SECONDS
        if any(conflict.with_foreign for conflict in conflicts):
            self._ours_in_a_row = 0
        else:
            self._ours_in_a_row += 1
            most = unit * 2.0 ** min(max(0, self._ours_in_a_row - _PATIENT), _DOUBLINGS)
        env.sleep(env.random() * min(most, _PAUSE_SECONDS_AT_MOST))
        self._handle.refresh()
        self._began = env.monotonic()
