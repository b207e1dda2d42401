"""Every request of the commit path fails once, in every way; the outcome is right each time.

Each scenario is run with the fault at request 0, 1, 2, ... until a run makes fewer requests than that, so
no request is forgotten. What the store really holds is read through an unharmed handle.
"""

import itertools
import threading

import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.result import ResolutionState
from atomic_manifest.store import ObjectStore
from atomic_manifest.testing import FakeEnv, Fault, FaultyDriver
from tests.table.conftest import SCHEMA, ids, rows

_fresh = itertools.count()


def new_table() -> str:
    url = f"memory://lost-replies-{next(_fresh)}"
    am.Table.create(url, SCHEMA)
    return url


def fast_path(url, table):
    return lambda: table.append(rows(1)), [1]


def rebase(url, table):
    am.append(url, rows(0))
    return lambda: table.append(rows(1)), [0, 1]


def far_behind(url, table):
    for number in range(5):
        am.append(url, rows(10 + number))
    return lambda: table.append(rows(1)), [1, 10, 11, 12, 13, 14]


def overwrite(url, table):
    am.append(url, rows(0))
    return lambda: table.overwrite(rows(1)), [1]


def with_txn(url, table):
    return lambda: table.append(rows(1), txn=("app", 1)), [1]


def delete(url, table):
    am.append(url, rows(0, 1, 2))
    return lambda: table.delete("id = 1"), [0, 2]


def overwrite_where(url, table):
    am.append(url, rows(0, 1, 2))
    return lambda: table.overwrite(rows(1, 1), where="id = 1"), [0, 1, 1, 2]


def transaction(url, table):
    am.append(url, rows(0, 1, 2))

    def body(tx):
        tx.append(rows(tx.read().num_rows))
        tx.delete("id = 1")

    return lambda: table.run(body).commit, [0, 2, 3]


SCENARIOS = [
    fast_path,
    rebase,
    far_behind,
    overwrite,
    with_txn,
    delete,
    overwrite_where,
    transaction,
]


class Plan:
    """A fault plan that lets everything pass until it is armed, and counts requests from then on."""

    def __init__(self, choose) -> None:
        self.choose = choose
        self.armed = False
        self.seen = 0
        self._lock = threading.Lock()

    def __call__(self, _number, request):
        if not self.armed:
            return None
        with self._lock:
            number = self.seen
            self.seen += 1
        return self.choose(number, request)


@pytest.mark.faults
@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_one_fault_at_any_request_loses_and_duplicates_nothing(scenario, fault, table_on):
    for number in itertools.count():
        url = new_table()
        plan = Plan(lambda seen, _, number=number: fault if seen == number else None)
        table = table_on(FaultyDriver(am.store.open_store(url).driver, plan), env=FakeEnv())
        act, expected = scenario(url, table)
        plan.armed = True
        result = act()
        after = am.Table.open(url)
        assert ids(after) == expected, f"fault {fault} at request {number}"
        assert ids(am.Table.open(url, version=result.version)) == expected
        found = after.resolve(result.commit_id)
        assert (found.state, found.version) == (ResolutionState.COMMITTED, result.version)
        assert after.version == len(list(after.history())) - 1
        committed = [record.id for entry in after.history() for record in entry.commits]
        assert len(set(committed)) == len(committed)
        if plan.seen <= number:
            break
    assert number >= 2, "the scenario makes at least two requests"


@pytest.mark.faults
@pytest.mark.parametrize("landed", [True, False])
def test_a_store_that_stops_answering_gives_an_unknown_outcome_that_resolves(landed, table_on):
    url = new_table()
    inner = am.store.open_store(url).driver
    puts = itertools.count()

    def silent(number, request):
        if request.path.endswith(".parquet"):
            return None
        if request.method == "put":
            # Only the first attempt may reach the store.
            return Fault.LOST_AFTER if landed and next(puts) == 0 else Fault.LOST_BEFORE
        return Fault.LOST_BEFORE

    plan = Plan(silent)
    table = table_on(FaultyDriver(inner, plan), Budget(attempts=5, seconds=5), FakeEnv())
    plan.armed = True
    with pytest.raises(am.CommitOutcomeUnknown) as caught:
        table.append(rows(1))
    assert caught.value.versions == (1,)
    assert any(meta.path.endswith(".parquet") for meta in inner.list()), "its files are kept"

    elsewhere = am.Table.open(url)
    if landed:
        assert elsewhere.resolve(caught.value).state is ResolutionState.COMMITTED
        assert elsewhere.resolve(caught.value.commit_id).version == 1
        assert ids(elsewhere) == [1]
        return
    assert elsewhere.resolve(caught.value).state is ResolutionState.OPEN
    assert elsewhere.resolve(caught.value, settle=True).state is ResolutionState.NOT_COMMITTED
    assert elsewhere.resolve(caught.value).state is ResolutionState.NOT_COMMITTED
    assert ids(elsewhere.refresh()) == []


def test_a_fenced_version_refuses_the_delayed_request(table_on):
    url = new_table()
    inner = am.store.open_store(url).driver
    delayed = []

    class Delaying(FaultyDriver):
        def put(self, path, data, *, when=None, metadata=None):
            if path.endswith(".json"):
                delayed.append((path, bytes(data), when))
            return super().put(path, data, when=when, metadata=metadata)

    def lose_entries(number, request):
        return None if request.path.endswith(".parquet") else Fault.LOST_BEFORE

    plan = Plan(lose_entries)
    table = table_on(Delaying(inner, plan), Budget(attempts=2), FakeEnv())
    plan.armed = True
    with pytest.raises(am.CommitOutcomeUnknown) as caught:
        table.append(rows(1))
    elsewhere = am.Table.open(url)
    elsewhere.resolve(caught.value, settle=True)
    for path, data, when in delayed:
        inner.put(path, data, when=when)
    assert ids(elsewhere.refresh()) == []
    assert elsewhere.resolve(caught.value).state is ResolutionState.NOT_COMMITTED


def test_the_files_of_a_conflicting_commit_are_removed(table_on):
    import msgspec

    from atomic_manifest.log.entry import encode, entry_path
    from atomic_manifest.store import IfAbsent

    url = new_table()
    store: ObjectStore = am.store.open_store(url)
    table = table_on(store.driver)
    metadata = am.Table.open(url)._handle.snapshot.metadata
    other = msgspec.structs.replace(
        metadata, schema_string=metadata.schema_string.replace('"long"', '"string"')
    )
    assert other != metadata
    store.put(entry_path(1), encode([other]), when=IfAbsent())
    with pytest.raises(am.CommitConflict, match="schema") as caught:
        table.append(rows(1))
    assert caught.value.version == 1
    assert not [meta for meta in store.list() if meta.path.endswith(".parquet")]
    assert am.Table.open(url).version == 1


def test_a_change_of_harmless_properties_does_not_fail_writers(table_on):
    import msgspec

    from atomic_manifest.log.entry import encode, entry_path
    from atomic_manifest.store import IfAbsent

    url = new_table()
    store = am.store.open_store(url)
    table = table_on(store.driver)
    metadata = table._handle.snapshot.metadata
    other = msgspec.structs.replace(
        metadata, configuration={"delta.checkpointInterval": "5", "delta.unheardOf": "1"}
    )
    store.put(entry_path(1), encode([other]), when=IfAbsent())
    assert table.append(rows(1)).version == 2
    assert table.configuration["delta.unheardOf"] == "1"


def test_a_commit_asked_for_after_its_version_was_cleaned_away_stays_open(tmp_path):
    table = am.Table.create(tmp_path / "t", SCHEMA)
    for number in range(3):
        table.append(rows(number))
    table.checkpoint()
    for version in range(3):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    unknown = am.CommitOutcomeUnknown("lost", commit_id="f" * 32, versions=(1,))
    assert table.resolve(unknown).state is ResolutionState.OPEN


def test_an_error_after_the_commit_does_not_take_its_files_away(monkeypatch):
    from atomic_manifest.log.state.snapshot import Snapshot

    url = new_table()
    table = am.Table.open(url)

    def broken(self, entries):
        raise am.errors.CorruptLog("broken", path="entry", version=1)

    with monkeypatch.context() as patch:
        patch.setattr(Snapshot, "advance", broken)
        assert table.append(rows(1)).version == 1
    assert ids(am.Table.open(url)) == [1]
    assert ids(table.refresh()) == [1]
