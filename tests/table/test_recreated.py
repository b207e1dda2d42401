"""A table dropped, or dropped and made anew in its place, under an open handle."""

import shutil
import threading

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import CommitOutcomeUnknown, TableReplaced
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.testing import FakeEnv
from tests.table.conftest import SCHEMA, ids, rows

TEXT = pa.schema([("id", pa.string())])


class Place:
    """Where tables are made and dropped; `options` opens them."""

    def __init__(self, url, options=None):
        self.url = str(url)
        self.options = options
        self.env = FakeEnv()
        self.store = am.store.open_store(self.url, storage_options=options)

    def make(self, versions, schema=SCHEMA, **given):
        table = am.Table.create(self.url, schema, storage_options=self.options, **given)
        for number in range(versions - 1):
            table.append(rows(number) if schema is SCHEMA else pa.table({"id": ["x"]}))
        return table

    def open(self, **given):
        return am.Table.open(self.url, storage_options=self.options, **given)

    def handle(self):
        """A handle that has been open for a while."""
        table = self.open(env=self.env)
        self.env.sleep(1.0)
        return table

    def drop(self):
        self.store.delete_many([meta.path for meta in self.store.list("")])
        if self.url.startswith("/"):
            shutil.rmtree(self.url)

    def paths(self):
        return sorted(meta.path for meta in self.store.list(""))


@pytest.fixture(params=["local", "memory", "s3"])
def place(request, tmp_path):
    if request.param == "local":
        return Place(tmp_path / "t")
    if request.param == "memory":
        return Place(f"memory://recreated-{tmp_path.name}-{tmp_path.parent.name}")
    server = request.getfixturevalue("modelled_s3")
    return Place(f"s3://{server.new_bucket()}/t", server.storage_options)


def transaction(table):
    with table.transaction() as tx:
        tx.append(rows(777))
    return tx.result


OPERATIONS = {
    "append": lambda table: table.append(rows(777)),
    "empty": lambda table: table.append(rows(), txn=("app", 1)),
    "overwrite": lambda table: table.overwrite(rows(777)),
    "overwrite where": lambda table: table.overwrite(rows(777), where="id = 777"),
    "delete": lambda table: table.delete("true"),
    "transaction": transaction,
    "merge schema": lambda table: table.append({"id": [7], "new": ["x"]}, schema_mode="merge"),
    "refresh": lambda table: table.refresh(),
}


@pytest.mark.parametrize("after", [1, 3, 6, 12])
@pytest.mark.parametrize("schema", [SCHEMA, TEXT], ids=["same", "other"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_a_handle_on_the_old_table_does_is_refused(place, operation, schema, after):
    place.make(6)
    handle = place.handle()
    place.drop()
    place.make(after, schema)
    there, expected = place.paths(), place.open().to_arrow()
    with pytest.raises(TableReplaced, match="open the table again"):
        OPERATIONS[operation](handle)
    assert place.paths() == there
    assert place.open().to_arrow() == expected
    assert not TableReplaced.retryable


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_table_that_was_dropped_and_not_made_anew_is_not_begun_again(place, operation):
    place.make(3)
    handle = place.handle()
    place.drop()
    with pytest.raises(TableReplaced, match="dropped"):
        OPERATIONS[operation](handle)
    assert not place.paths()


def test_a_snapshot_read_from_a_checkpoint_alone_tells_too(place):
    place.make(6).checkpoint()
    handle = place.handle()
    assert handle._handle.snapshot.version == 5
    place.drop()
    place.make(9)
    with pytest.raises(TableReplaced):
        handle.append(rows(777))
    place.drop()
    place.make(3)
    with pytest.raises(TableReplaced):
        handle.append(rows(777))
    assert ids(place.open()) == [0, 1]


def test_a_handle_goes_on_after_its_own_commits_and_those_of_others(place):
    place.make(2)
    handle = place.handle()
    for number in range(4):
        handle.append(rows(100 + number))
        place.env.sleep(1.0)
        place.open().append(rows(200 + number))
        place.env.sleep(1.0)
        handle.refresh()
    assert len(ids(place.open())) == 9


def test_an_old_handle_sees_it_when_it_lists_the_log(place):
    place.make(3)
    handle = place.handle()
    place.drop()
    place.make(9)
    place.env.sleep(7200.0)
    with pytest.raises(TableReplaced, match="open the table again"):
        handle.append(rows(777))


def test_a_transaction_that_was_open_meanwhile_is_refused(place):
    place.make(3)
    handle = place.handle()
    tx = handle.transaction()
    tx.__enter__()
    assert tx.read().num_rows == 2
    tx.append(rows(777))
    place.drop()
    place.make(2)
    place.env.sleep(60.0)
    with pytest.raises(TableReplaced):
        tx.__exit__(None, None, None)
    assert ids(place.open()) == [0]


def test_threads_that_commit_together_are_all_refused(place):
    place.make(3)
    handle = place.handle()
    place.drop()
    place.make(2)
    told = []

    def append(number):
        try:
            handle.append(rows(number))
        except TableReplaced as error:
            told.append(error)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 6
    assert ids(place.open()) == [0]


def test_clean_up_of_the_log_is_no_replacement(place):
    old = place.make(6)
    handle = place.handle()
    newer = place.open()
    newer.append(rows(60))
    newer.checkpoint()
    place.store.delete_many([entry_path(version) for version in range(7)])
    assert ids(place.open()) == [0, 1, 2, 3, 4, 60]
    handle.append(rows(777))
    assert ids(place.open()) == [0, 1, 2, 3, 4, 60, 777]
    assert old.version == 5


def test_a_table_made_anew_by_another_engine_is_told_from_the_old_one(tmp_path):
    deltalake = pytest.importorskip("deltalake")
    place = Place(tmp_path / "t")
    for after in (2, 8):
        for number in range(5):
            deltalake.write_deltalake(place.url, rows(number), mode="append")
        handle = place.handle()
        place.drop()
        for number in range(after):
            deltalake.write_deltalake(place.url, rows(100 + number), mode="append")
        with pytest.raises(TableReplaced):
            handle.append(rows(777))
        assert ids(place.open()) == [100 + number for number in range(after)]
        place.drop()


def test_a_handle_that_committed_just_before_is_refused_too(place):
    handle = place.make(3)
    place.drop()
    place.make(2)
    with pytest.raises(TableReplaced):
        handle.append(rows(777))
    assert ids(place.open()) == [0]


def test_the_look_at_the_log_is_no_request_in_sequence(modelled_s3):
    place = Place(f"s3://{modelled_s3.new_bucket()}/t", modelled_s3.storage_options)
    place.make(3)
    handle = place.handle()

    def operations():
        modelled_s3.reset(keep_objects=True)
        handle.append(rows(7))
        return [operation for operation, _, _ in modelled_s3.requests()]

    first, again = operations(), operations()
    assert sorted(first) == ["GetObject", "PutObject", "PutObject"]
    assert first[-1] == "PutObject"
    assert again == ["PutObject", "PutObject"], "right after a commit nothing is looked at"


def test_entries_name_their_table_and_stay_plain_commits(place):
    table = place.make(3)
    table.delete("id = 0")
    table_id = table._handle.snapshot.metadata.id
    for version in range(4):
        entry = decode(place.store.get(entry_path(version)).data, version)
        assert entry.table == table_id
        assert entry.commit_info["atomicManifest"]["table"] == table_id


def test_creating_a_table_that_is_dropped_meanwhile_makes_a_new_one(place):
    place.make(3)
    place.drop()
    assert ids(place.make(2)) == [0]
    assert am.append(place.url, rows(5), storage_options=place.options).version == 2


def test_an_unknown_commit_of_the_old_table_is_not_in_the_new_one(place):
    place.make(3)
    place.drop()
    table = place.make(6)
    unknown = CommitOutcomeUnknown("lost", commit_id="gone", versions=(3,))
    assert table.resolve(unknown).state.value == "not committed"


@pytest.mark.parametrize("idle", [0, 10_000])
def test_a_table_that_another_engine_replaced_in_its_own_log_is_the_same(tmp_path, idle):
    from deltalake import DeltaTable

    place = Place(tmp_path / "t")
    table = place.make(2)
    handle, known = place.handle(), DeltaTable(place.url).metadata().id
    replaced = DeltaTable.create(place.url, pa.schema(SCHEMA), mode="overwrite")
    assert replaced.metadata().id != known
    place.env.sleep(idle)
    assert handle.refresh().version == 2
    assert handle.append(rows(7)).version == 3
    assert ids(table.refresh()) == ids(handle) == [7]
