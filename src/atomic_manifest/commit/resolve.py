"""What became of a commit whose outcome was unknown.

The log is the only witness. A commit id found in an entry is committed. One not found is certainly not
committed once every version it was sent to is seen to be held by somebody else; before that, a request
delayed on its way could still land, and the commit is open. A version that log clean-up has removed was
not seen, so a question asked too late stays open too.
"""

from collections.abc import Iterable

from atomic_manifest.commit.driver import run
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import Budget, GaveUp, Outcome
from atomic_manifest.commit.result import Resolution, ResolutionState, version_or_raise
from atomic_manifest.env import Env
from atomic_manifest.log.state.history import history
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store import ObjectStore


def resolve(
    store: ObjectStore, commit_id: str, versions: Iterable[int] | None = None
) -> Resolution:
    """Look for a commit in the log.

    Args:
        store: Rooted at the table.
        commit_id: The commit.
        versions: Where it may be (`CommitOutcomeUnknown.versions`). Without them a commit that is not
            found stays open, because nothing tells where a delayed request would land.

    Raises:
        TableNotFound, CorruptLog: The log cannot be read.
    """
    taken = set()
    for record in history(store):
        taken.add(record.version)
        if any(commit.id == commit_id for commit in record.commits):
            return Resolution(ResolutionState.COMMITTED, record.version)
        if commit_id in record.revoked:
            return Resolution(ResolutionState.NOT_COMMITTED)
    if versions is not None and taken.issuperset(versions):
        return Resolution(ResolutionState.NOT_COMMITTED)
    return Resolution(ResolutionState.OPEN)


def revoke(
    store: ObjectStore, env: Env, budget: Budget, snapshot: Snapshot, commit_id: str
) -> Outcome:
    """Commit an entry that changes nothing and says that `commit_id` will never be.

    Afterwards no delayed request of a writer that has stopped can land: all it can aim at is taken. And
    nobody includes an intent of its that is still posted.

    Returns:
        `GaveUp` once that is in the log; `Committed` if the commit turns out to be there.

    Raises:
        AtomicManifestError: As `version_or_raise`, if the revocation itself does not get through.
    """
    intent = Intent(
        commit_id=commit_id,
        base_version=snapshot.version,
        actions=(),
        operation="REVOKE",
        base_metadata=snapshot.metadata,
        base_protocol=snapshot.protocol,
    )
    outcome = run(intent, store.driver, env, budget, revoke=True).outcome
    if not isinstance(outcome, GaveUp):
        version_or_raise(outcome, commit_id)
    return outcome
