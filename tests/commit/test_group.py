"""Threads that share a handle: one entry for all who wait, and nobody fails because of another."""

import _thread
import threading
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from atomic_manifest.commit.committer import Committer
from atomic_manifest.commit.conflicts import Overtaken
from atomic_manifest.commit.group import GroupCommitter
from atomic_manifest.commit.intent import Intent, ReadNothing, ReadTable
from atomic_manifest.commit.messages import AlreadyCommitted, Budget, Committed, OutOfOrder
from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.log.actions import Metadata, Protocol, Txn
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.log.folder.entries import read_entry
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import FakeEnv
from tests.commit.actions import add


@dataclass
class Planned:
    """A plan that waits before it is turned into an intent, if told so."""

    name: str
    txn: tuple[str, int] | None = None
    is_blind: bool = True
    error: Exception | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event | None = None

    def intent(self, snapshot: Snapshot) -> Intent:
        self.begun.set()
        if self.goes_on is not None:
            self.goes_on.wait(10)
        if self.error is not None:
            raise self.error
        txns = () if self.txn is None else (Txn(app_id=self.txn[0], version=self.txn[1]),)
        return Intent(
            commit_id=self.name,
            base_version=snapshot.version,
            actions=(*txns, add(self.name)),
            operation="WRITE",
            reads=ReadNothing() if self.is_blind else ReadTable(),
            txn=self.txn,
            base_metadata=snapshot.metadata,
            base_protocol=snapshot.protocol,
        )

    def survives(self, conflicts, before, after) -> bool:
        return False


class Group:
    """A group on an empty table, whose first commit is held until all others have queued."""

    def __init__(self, wrapped=lambda driver: driver):
        self.store = ObjectStore(wrapped(MemoryDriver()), env=FakeEnv())
        self.snapshot = _created(self.store)
        committer = Committer(self.store, FakeEnv(), Budget())
        self.group = GroupCommitter(committer, lambda: self.snapshot, self._moved)
        self.results: dict[str, object] = {}

    def _moved(self, snapshot):
        if snapshot.version > self.snapshot.version:
            self.snapshot = snapshot

    def commit(self, plan, base):
        try:
            self.results[plan.name] = self.group.commit(plan, base).outcome
        except BaseException as error:
            self.results[plan.name] = error

    def commit_behind(self, first, *plans):
        """All `plans` queue while `first` is being committed."""
        first.goes_on = threading.Event()
        base = self.snapshot
        threads = [self._start(first, base)]
        assert first.begun.wait(10)
        for number, plan in enumerate(plans, start=1):
            threads.append(self._start(plan, base))
            self.await_queue(number)
        first.goes_on.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive(), "a thread was left hanging"
        return self.results

    def _start(self, plan, base):
        thread = threading.Thread(target=self.commit, args=(plan, base), daemon=True)
        thread.start()
        return thread

    def await_queue(self, length):
        while len(self.group._queue) < length:
            threading.Event().wait(0.001)

    def ids(self, version):
        return [record.id for record in read_entry(self.store, version).commits]


def _created(store):
    schema = pa.schema([("id", pa.int64()), ("p", pa.string())])
    metadata = Metadata(id="t", schema_string=to_delta(schema), partition_columns=["p"])
    protocol = Protocol(min_reader_version=1, min_writer_version=2)
    store.put(entry_path(0), encode([protocol, metadata]))
    return load(store)


def test_threads_that_wait_share_one_entry_with_a_commit_id_each():
    group = Group()
    results = group.commit_behind(Planned("first"), *(Planned(f"c{n}") for n in range(5)))
    assert results == {"first": Committed(1)} | {f"c{n}": Committed(2) for n in range(5)}
    assert group.ids(1) == ["first"]
    assert sorted(group.ids(2)) == [f"c{n}" for n in range(5)]


def test_a_transaction_repeated_within_a_batch_is_committed_once():
    group = Group()
    twice = [Planned("a", txn=("x", 1)), Planned("b", txn=("x", 1)), Planned("c")]
    results = group.commit_behind(Planned("first"), *twice)
    assert results == {
        "first": Committed(1),
        "a": Committed(2),
        "b": AlreadyCommitted(2),
        "c": Committed(2),
    }


def test_transactions_of_one_application_go_up_within_a_batch_or_are_refused():
    group = Group()
    plans = [Planned("a", txn=("x", 2)), Planned("b", txn=("x", 1)), Planned("c", txn=("x", 3))]
    results = group.commit_behind(Planned("first"), *plans, Planned("d"))
    assert results == {
        "first": Committed(1),
        "a": Committed(2),
        "b": OutOfOrder(2, Overtaken("x", 1, 2)),
        "c": Committed(3),
        "d": Committed(2),
    }


def test_a_transaction_that_another_process_overtook_fails_for_nobody_else():
    group = Group()
    group.store.put(entry_path(2), encode([Txn(app_id="x", version=5)]))
    results = group.commit_behind(Planned("first"), Planned("a", txn=("x", 2)), Planned("b"))
    assert results == {
        "first": Committed(1),
        "a": OutOfOrder(2, Overtaken("x", 2, 5)),
        "b": Committed(3),
    }


def test_an_error_in_one_plan_does_not_fail_the_others():
    group = Group()
    error = AtomicManifestError("this plan refuses the snapshot")
    plans = [Planned("a"), Planned("bad", error=error), Planned("b")]
    results = group.commit_behind(Planned("first"), *plans)
    assert results["bad"] is error
    assert (results["a"], results["b"]) == (Committed(2), Committed(2))


def test_an_error_of_the_leader_leaves_nobody_hanging():
    group = Group()
    error = AtomicManifestError("no")
    results = group.commit_behind(Planned("first", error=error), Planned("a"), Planned("b"))
    assert results == {"first": error, "a": Committed(1), "b": Committed(1)}


def test_a_plan_that_reads_the_table_goes_alone_and_its_conflict_is_its_own():
    group = Group()
    plans = [Planned("a"), Planned("reader", is_blind=False), Planned("b")]
    results = group.commit_behind(Planned("first"), *plans)
    assert (results["a"], results["b"]) == (Committed(2), Committed(2))
    assert results["reader"] == Committed(3)


def test_an_interrupted_thread_that_was_to_lead_next_leaves_nobody_hanging():
    group = Group()
    first, base = Planned("first", goes_on=threading.Event()), group.snapshot
    leader = group._start(first, base)
    assert first.begun.wait(10)

    def interrupt():
        group.await_queue(1)
        late.append(group._start(Planned("late"), base))
        group.await_queue(2)
        _thread.interrupt_main()
        first.goes_on.set()

    late = []
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        group.group.commit(Planned("interrupted"), base)
    for thread in [leader, *late]:
        thread.join(10)
        assert not thread.is_alive(), "a thread was left hanging"
    assert group.results == {"first": Committed(1), "late": Committed(2)}
