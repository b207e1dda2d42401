"""What a caller gets for a commit, and what the protocol's outcomes mean to them."""

from dataclasses import dataclass
from enum import Enum

from atomic_manifest.commit.conflicts import Overtaken
from atomic_manifest.commit.messages import (
    AlreadyCommitted,
    Committed,
    Conflicted,
    GaveUp,
    Outcome,
    OutOfOrder,
    Rejected,
    Unknown,
)
from atomic_manifest.errors import (
    CommitConflict,
    CommitContended,
    CommitOutcomeUnknown,
    CorruptLog,
    TransactionOutOfOrder,
)
from atomic_manifest.log.state.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class CommitResult:
    """An acknowledged commit.

    Attributes:
        version: The table version that holds it. If it was committed before, a version by which it was.
        commit_id: Names it in the log, in `commitInfo.atomicManifest`; empty if the handle's snapshot
            already held the same `txn`.
        files: Data files added by this call; 0 if it was committed before.
        rows: Rows added by this call; 0 if it was committed before.
        attempts: PUTs of a log entry it took.
        combined: Whether the entry holds commits of other writers too.
        rows_deleted: Rows taken out by `delete` and `overwrite(where=)`; other overwrites do not count.
        already_committed: True if the same `txn` was found in the log, so nothing was written.
    """

    version: int
    commit_id: str
    files: int
    rows: int
    attempts: int
    combined: bool = False
    rows_deleted: int = 0
    already_committed: bool = False


class ResolutionState(Enum):
    """What the log says of a commit whose outcome was unknown."""

    COMMITTED = "committed"
    NOT_COMMITTED = "not committed"
    OPEN = "open"
    """Not in the log so far, and a delayed request of its writer could still put it there."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer of `Table.resolve`; `version` is set when it is committed."""

    state: ResolutionState
    version: int | None = None


def outcome_recorded(
    snapshot: Snapshot, txn: tuple[str, int] | None
) -> AlreadyCommitted | OutOfOrder | None:
    """What a snapshot's transactions say of another one before it is tried; None if it may be."""
    if txn is None:
        return None
    app_id, given = txn
    recorded = snapshot.txns.get(app_id, given - 1)
    if recorded > given:
        return OutOfOrder(snapshot.version, Overtaken(app_id, given, recorded))
    return AlreadyCommitted(snapshot.version) if recorded == given else None


def version_or_raise(outcome: Outcome, commit_id: str) -> int:
    """The version that an outcome acknowledges.

    Raises:
        TransactionOutOfOrder: The log records a later transaction of the application.
        CommitConflict: A concurrent commit conflicts.
        CommitContended: The budget ended between two races.
        CommitOutcomeUnknown: The budget ended with an attempt unanswered.
        AtomicManifestError: What the store or the log raised.
    """
    match outcome:
        case Committed(version) | AlreadyCommitted(version):
            return version
        case OutOfOrder(_, Overtaken(app_id, given, recorded)):
            raise TransactionOutOfOrder(
                f"txn=({app_id!r}, {given}) was not written: the table records version {recorded} of "
                f"{app_id!r} already, and cannot tell whether {given} was among what came before. Versions "
                "of one application only go up; give each piece of work that may come in any order an "
                f"application of its own, such as txn=({f'{app_id}/{given}'!r}, 1)",
                commit_id=commit_id,
                app_id=app_id,
                given=given,
                recorded=recorded,
            )
        case Conflicted(version, conflicts):
            reasons = "; ".join(map(str, conflicts))
            raise CommitConflict(
                f"commit {commit_id} is not in the log: {reasons}",
                commit_id=commit_id,
                conflicts=conflicts,
                version=version,
            )
        case GaveUp():
            raise CommitContended(
                f"commit {commit_id} lost every race within its budget; it is not in the log",
                commit_id=commit_id,
            )
        case Rejected(cause):
            raise cause
        case Unknown(versions, cause):
            place = f"version {versions[0]}" + (f" to {versions[-1]}" if len(versions) > 1 else "")
            reason = f"the store did not answer{f' ({cause})' if cause else ''}"
            if cause is not None and not isinstance(cause, Exception):
                reason = f"the thread that sent it was interrupted ({type(cause).__name__})"
            if isinstance(cause, CorruptLog):
                reason = f"what is there cannot be read ({cause})"
            raise CommitOutcomeUnknown(
                f"commit {commit_id} may or may not be in the table at {place}: {reason}. "
                f"Table.resolve({commit_id!r}) will tell; its files are kept",
                commit_id=commit_id,
                versions=versions,
            ) from cause
