"""Threads that share a handle commit together: one entry for all who wait.

The first thread to come leads. It commits its own plan, and those that came while it did go together
into the next entry, led by one of them: a store that takes one entry a round trip takes all of them. Only
blind appends are merged; any other plan is committed by itself, in its turn.

Invariants: what may share an entry is decided by `combine`, as among processes. A merged intent that meets
a conflict, or whose transactions were repeated or overtaken, is not in the log, and its members are then
committed one by one: nobody fails because of another's commit.

Interrupts may come between any two lines, in any thread. So no state says that a thread leads but a lock
that the thread itself holds, who leaves always wakes who may be next, and each clean-up is made twice. Of
those whom an interrupted leader took along, what was not begun is led by another thread; what was may be in
the log: its outcome is `Unknown`.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock

from atomic_manifest.commit.combine import Candidate, combine
from atomic_manifest.commit.committer import Committer, Settled
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import AlreadyCommitted, Conflicted, OutOfOrder
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.commit.result import outcome_recorded
from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.forks import reentrant_lock, renew
from atomic_manifest.log.state.snapshot import Snapshot

_BATCH = 1024
"""Commits that are merged into one entry at most."""


def _silent() -> Lock:
    bell = Lock()
    bell.acquire()
    return bell


@dataclass(slots=True, eq=False)
class _Waiting:
    """One thread's commit: queued, then led by some thread, then settled or failed.

    Attributes:
        bell: Released to wake the thread. A lock, for one call releases it, which nothing interrupts.
        machine: Once it is being committed, by which some of it may have been sent.
        has_left: Whether its thread is gone, so that nobody answers the bell.
    """

    plan: Plan
    snapshot: Snapshot
    bell: Lock = field(default_factory=_silent)
    machine: CommitMachine | None = None
    settled: Settled | None = None
    error: Exception | None = None
    has_left: bool = False

    @property
    def done(self) -> bool:
        return self.settled is not None or self.error is not None

    def begin(self, machine: CommitMachine) -> None:
        self.machine = machine

    def ring(self) -> None:
        with suppress(RuntimeError):  # it has not heard an earlier ring yet
            self.bell.release()


class GroupCommitter:
    """Commits plans of many threads.

    Args:
        committer: Commits one intent.
        latest: The newest snapshot that is known here.
        moved: Told of each snapshot that a commit led to, before the next batch begins.
    """

    def __init__(
        self,
        committer: Committer,
        latest: Callable[[], Snapshot],
        moved: Callable[[Snapshot], None],
    ) -> None:
        self._committer = committer
        self._latest = latest
        self._moved = moved
        self._turn = reentrant_lock()
        self._queue: deque[_Waiting] = deque()
        self._leader: _Waiting | None = None
        renew(self._forget_others)

    def _forget_others(self) -> None:
        """In a forked process: the other threads, and what they wanted, are not here."""
        self._queue = deque()
        self._leader = None

    def commit(self, plan: Plan, snapshot: Snapshot) -> Settled:
        """Commit a plan that was staged against `snapshot`; blocks until it is settled.

        Raises:
            AtomicManifestError: As `Committer.settle`.
        """
        mine, leads = _Waiting(plan, snapshot), False
        try:
            try:
                self._queue.append(mine)
                while not mine.done:
                    leads = leads or self._turn.acquire(blocking=False)
                    if not leads:
                        mine.bell.acquire()
                        continue
                    self._leader = mine
                    self._lead()
            finally:
                self._leave(mine)
        finally:
            self._leave(mine)  # once more, for an interrupt may have come in between
        if mine.settled is None:
            assert mine.error is not None  # noqa: S101 - it is done
            raise mine.error
        return mine.settled

    def _leave(self, mine: _Waiting) -> None:
        """Let go of everything, and wake the thread that is to lead next. Does no harm twice."""
        mine.has_left = True
        if not mine.done:
            with suppress(ValueError):
                self._queue.remove(mine)
        if self._leader is mine:
            self._leader = None
        with suppress(RuntimeError):  # it is not held by this thread
            self._turn.release()
        with suppress(IndexError):
            while self._leader is None and self._queue[0].has_left:
                self._queue.popleft()
            if self._leader is None:
                self._queue[0].ring()

    def _lead(self) -> None:
        batch: list[_Waiting] = []
        try:
            try:
                with suppress(IndexError):
                    while len(batch) < _BATCH:
                        batch.append(self._queue.popleft())
                self._settle_all([each for each in batch if not each.has_left])
            except BaseException as error:
                self._give_up(batch, error)
                raise
            finally:
                self._wake(batch)
        finally:
            self._wake(batch)  # once more, for an interrupt may have come in between

    def _give_up(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        """What has begun may be in the log, and what has not begun is led by another thread."""
        for each in reversed(batch):
            if each.done:
                continue
            if each.machine is None:
                self._queue.appendleft(each)
            else:
                outcome = each.machine.progress.unknown(error)
                each.settled = Settled(outcome, each.snapshot, attempts=0)

    def _wake(self, batch: Sequence[_Waiting]) -> None:
        for each in batch:
            if each.done:
                each.ring()

    def _settle_all(self, batch: Sequence[_Waiting]) -> None:
        alone = self._settle_merged(batch) if len(batch) > 1 else batch
        for each in alone:
            self._settle_one(each)

    def _settle_one(self, each: _Waiting) -> None:
        base = self._base(each)
        try:
            settled = _recorded(each, base)
            if settled is None:
                settled = self._committer.settle(each.plan, base, each.begin)
            each.settled = settled
            self._moved(settled.snapshot)
        except Exception as error:  # noqa: BLE001 - belongs to the thread whose plan it is
            each.error = error

    def _settle_merged(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Commit together what can be; gives back what has to go alone."""
        base = self._latest()
        by_id: dict[str, _Waiting] = {}
        candidates = []
        for each in batch:
            if self._base(each) is not base:
                continue
            each.settled = _recorded(each, base)
            if each.settled is None and (intent := _mergeable(each.plan, base)) is not None:
                by_id[intent.commit_id] = each
                candidates.append(Candidate.of(intent))
        accepted = combine(candidates, (), base.version + 1).accepted
        if len(accepted) > 1:
            members = [by_id[candidate.intent.commit_id] for candidate in accepted]
            self._run_merged(members, _merge([c.intent for c in accepted]), base)
        return [each for each in batch if not each.done]

    def _run_merged(self, members: Sequence[_Waiting], intent: Intent, base: Snapshot) -> None:
        def begin(machine: CommitMachine) -> None:
            for each in members:
                each.begin(machine)

        try:
            settled = self._committer.run(intent, base, begin)
        except AtomicManifestError as error:
            for each in members:
                each.error = error
            return
        if isinstance(settled.outcome, Conflicted | AlreadyCommitted | OutOfOrder):
            for each in members:
                each.machine = None  # certainly not in the log: each goes alone
        else:
            for each in members:
                each.settled = settled
        self._moved(settled.snapshot)

    def _base(self, each: _Waiting) -> Snapshot:
        """The newest snapshot on which the plan's files still mean the same."""
        latest = self._latest()
        same = (
            latest.version >= each.snapshot.version
            and latest.metadata == each.snapshot.metadata
            and latest.protocol == each.snapshot.protocol
        )
        return latest if same else each.snapshot


def _recorded(each: _Waiting, base: Snapshot) -> Settled | None:
    """If the snapshot already holds the plan's transaction, or a later one, that is the outcome."""
    outcome = outcome_recorded(base, each.plan.txn)
    return None if outcome is None else Settled(outcome, base, attempts=0)


def _mergeable(plan: Plan, base: Snapshot) -> Intent | None:
    """The plan's intent if others may share its entry; a plan that fails does so alone, in its turn."""
    if not plan.is_blind:
        return None
    try:
        intent = plan.intent(base)
    except Exception:  # noqa: BLE001 - it is raised again, to its own thread, by `Committer.settle`
        return None
    return intent if intent.is_combinable and intent.is_blind else None


def _merge(intents: Sequence[Intent]) -> Intent:
    first = intents[0]
    return Intent(
        commit_id=first.commit_id,
        base_version=first.base_version,
        actions=tuple(action for intent in intents for action in intent.actions),
        operation=first.operation,
        parameters=first.parameters,
        reads=first.reads,
        isolation=first.isolation,
        base_metadata=first.base_metadata,
        base_protocol=first.base_protocol,
        members=tuple(record for intent in intents for record in intent.records),
    )
