"""Plans into the log: run the protocol, plan again where that is right, clean up where that is safe.

Error semantics: whatever is raised, files of a commit that is certainly not in the log have been
removed (as far as the store lets us; leftovers are harmless and vacuum finds them), and files of a
commit whose outcome is unknown have not.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from atomic_manifest.commit.driver import Report, run
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.protocol import AlreadyCommitted, Budget, Committed, Conflicted
from atomic_manifest.commit.result import version_or_raise
from atomic_manifest.env import Env
from atomic_manifest.errors import AtomicManifestError, CommitOutcomeUnknown
from atomic_manifest.log.actions import Add
from atomic_manifest.log.features import check_writable
from atomic_manifest.log.path import decode
from atomic_manifest.log.snapshot import Snapshot
from atomic_manifest.store import ObjectStore

_log = logging.getLogger("atomic_manifest")

_PLANS = 100
"""How often one operation is planned at most; its conflict with the last snapshot is final."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A commit that is in the log.

    Attributes:
        version: Where.
        snapshot: The state at that version, as far as it was read on the way.
        attempts: PUTs of an entry it took.
        already_committed: Whether a winner carried the same transaction instead.
    """

    version: int
    snapshot: Snapshot
    attempts: int
    already_committed: bool


@dataclass(frozen=True, slots=True)
class Committer:
    """Commits to the table of one store.

    Attributes:
        store: Rooted at the table.
        env: Clock, randomness and sleep.
        budget: Bounds on attempts and time of one intent.
    """

    store: ObjectStore
    env: Env
    budget: Budget

    def commit(self, plan: Plan, snapshot: Snapshot, adds: Sequence[Add]) -> Acknowledged:
        """Commit `plan`, made from `snapshot`, which has uploaded the files `adds`.

        Raises:
            CommitConflict: Another commit conflicts, and planning again would not be right.
            CommitContended: The budget ended; the commit is not in the log.
            CommitOutcomeUnknown: The budget ended with an attempt unanswered.
            UnsupportedTableFeature: A winner gave the table a feature that is not written here.
        """
        with self._discarding(adds):
            intent, snapshot, report = self._settle(plan, snapshot)
            version = version_or_raise(report.outcome, intent.commit_id)
        repeated = isinstance(report.outcome, AlreadyCommitted)
        after = snapshot.advance(report.winners)
        if repeated:
            self.discard(adds)
        else:
            after = after.advance([intent.as_entry(version)])
        return Acknowledged(version, after, report.attempts, repeated)

    def create(
        self, intent: Intent, adds: Sequence[Add]
    ) -> Committed | AlreadyCommitted | Conflicted:
        """Commit the first entry of a table.

        Returns:
            `Conflicted` if somebody else created the table meanwhile; then `adds` are still there and
            may be appended to it. `AlreadyCommitted` if they did so with the same transaction.

        Raises:
            CommitContended, CommitOutcomeUnknown: As for `commit`.
        """
        outcome = run(intent, self.store.driver, self.env, self.budget).outcome
        match outcome:
            case Committed() | Conflicted():
                return outcome
            case AlreadyCommitted():
                self.discard(adds)
                return outcome
        with self._discarding(adds):
            version_or_raise(outcome, intent.commit_id)
        raise AssertionError(f"{outcome!r} is no error")

    def discard(self, adds: Sequence[Add]) -> None:
        """Remove files that no log entry names. A store that refuses keeps them; nobody reads them."""
        if not adds:
            return
        try:
            self.store.delete_many([decode(add.path) for add in adds])
        except AtomicManifestError as error:
            _log.warning(
                "%d unreferenced files are left in %s: %s", len(adds), self.store.url, error
            )

    def _settle(self, plan: Plan, snapshot: Snapshot) -> tuple[Intent, Snapshot, Report]:
        """Run the plan's intent; plan again on what won, as long as that is right."""
        attempts = 0
        for _ in range(_PLANS):
            intent = plan.intent(snapshot)
            report = run(intent, self.store.driver, self.env, self.budget)
            attempts += report.attempts
            report = replace(report, attempts=attempts)
            if not isinstance(report.outcome, Conflicted):
                break
            after = snapshot.advance(report.winners)
            if not plan.survives(report.outcome.conflicts, snapshot, after):
                break
            check_writable(after.protocol, after.metadata)
            snapshot = after
        return intent, snapshot, report

    @contextmanager
    def _discarding(self, adds: Sequence[Add]) -> Iterator[None]:
        """Remove `adds` if the block ends with an error that proves them unreferenced.

        Errors that are not ours (an interrupt in the middle of a PUT) prove nothing.
        """
        try:
            yield
        except CommitOutcomeUnknown:
            raise
        except AtomicManifestError:
            self.discard(adds)
            raise
