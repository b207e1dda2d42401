import json
import threading

import pyarrow as pa
import pytest

from atomic_manifest.errors import (
    CorruptLog,
    TableNotFound,
    UnsupportedTableFeature,
    VersionNotFound,
)
from atomic_manifest.log.actions import DeletionVector, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.columns import FILES
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.log.state import snapshot as module
from atomic_manifest.log.state.snapshot import load, refresh


def _paths(snapshot):
    return snapshot.files()["path"].to_pylist()


def _removed(path, **fields):
    return Remove(path=path, **({"deletion_timestamp": 2**62} | fields))


def _vector(offset=1, **fields):
    known = {"storage_type": "u", "path_or_inline_dv": "x", "size_in_bytes": 3, "cardinality": 4}
    return DeletionVector(offset=offset, **(known | fields))


def test_a_new_table_has_schema_and_configuration_and_no_files(created):
    snapshot = load(created)
    assert snapshot.version == 0
    assert snapshot.schema == pa.schema([("x", pa.int64())])
    assert snapshot.partition_columns == ()
    assert snapshot.configuration == {}
    assert snapshot.txns == {}
    assert snapshot.files() == FILES.empty_table()
    assert snapshot.tombstones().num_rows == 0
    assert "version=0" in repr(snapshot)


def test_every_field_of_a_file_is_in_its_column(created, commit, add):
    commit(
        created,
        1,
        add(
            "a%20b",
            partition_values={"p": "1", "q": None},
            size=10,
            modification_time=20,
            data_change=False,
            stats='{"numRecords":1}',
            tags={"t": "v"},
            deletion_vector=_vector(),
            base_row_id=5,
            default_row_commit_version=6,
            clustering_provider="liquid",
        ),
    )
    assert load(created).files().to_pylist(maps_as_pydicts="strict") == [
        {
            "path": "a%20b",
            "partition_values": {"p": "1", "q": None},
            "size": 10,
            "modification_time": 20,
            "data_change": False,
            "stats": '{"numRecords":1}',
            "tags": {"t": "v"},
            "deletion_vector": {
                "storage_type": "u",
                "path_or_inline_dv": "x",
                "offset": 1,
                "size_in_bytes": 3,
                "cardinality": 4,
            },
            "base_row_id": 5,
            "default_row_commit_version": 6,
            "clustering_provider": "liquid",
        }
    ]


def test_the_newest_action_on_a_file_wins(created, commit, add):
    commit(created, 1, add("a"), add("b"), add("c"))
    commit(created, 2, _removed("a"), add("b", size=7))
    commit(created, 3, _removed("c"), add("d"))
    commit(created, 4, add("c", size=9))
    snapshot = load(created)
    assert dict(zip(_paths(snapshot), snapshot.files()["size"].to_pylist(), strict=True)) == {
        "b": 7,
        "d": 1,
        "c": 9,
    }
    assert snapshot.tombstones()["path"].to_pylist() == ["a"]


def test_an_entry_that_removes_and_adds_a_file_leaves_it_in_the_table(created, commit, add):
    commit(created, 1, add("a"))
    commit(created, 2, add("a", size=5), _removed("a"))
    assert load(created).files()["size"].to_pylist() == [5]


def test_files_are_told_apart_by_their_deletion_vectors(created, commit, add):
    first, second, inline = _vector(), _vector(offset=2), _vector(None, storage_type="i")
    commit(created, 1, add("a"), add("b", deletion_vector=inline))
    commit(created, 2, _removed("a"), add("a", deletion_vector=first))
    commit(created, 3, _removed("a", deletion_vector=first), add("a", deletion_vector=second))
    snapshot = load(created)
    vectors = snapshot.files().select(["path", "deletion_vector"]).to_pylist()
    assert [(row["path"], row["deletion_vector"]["offset"]) for row in vectors] == [
        ("b", None),
        ("a", 2),
    ]
    removed = snapshot.tombstones()["deletion_vector"].to_pylist()
    assert [vector and vector["offset"] for vector in removed] == [None, 1]


def test_only_the_asked_columns_of_the_files_come_back(created, commit, add):
    commit(created, 1, add("a", size=3))
    snapshot = load(created)
    expected = pa.table({"size": pa.array([3], pa.int64())})
    assert snapshot.files(["size"]) == expected
    snapshot.files()
    assert snapshot.files(["size"]) == expected


def test_tombstones_expire_after_the_tables_retention(store, commit, protocol, metadata):
    day = 86_400_000
    now = int(store.env.now() * 1000)
    removes = [
        _removed("old", deletion_timestamp=now - 3 * day),
        _removed("young", deletion_timestamp=now - day),
        _removed("undated", deletion_timestamp=None),
    ]
    configuration = {"delta.deletedFileRetentionDuration": "interval 2 days"}
    commit(
        store,
        0,
        protocol,
        Metadata(id="t", schema_string=metadata.schema_string, configuration=configuration),
        *removes,
    )
    assert load(store).tombstones()["path"].to_pylist() == ["young"]


def test_the_newest_txn_of_each_application_wins(created, commit):
    commit(created, 1, Txn(app_id="a", version=5), Txn(app_id="b", version=1))
    commit(created, 2, Txn(app_id="a", version=6, last_updated=9))
    snapshot = load(created)
    assert snapshot.txns == {"a": 6, "b": 1}
    assert Txn(app_id="a", version=6, last_updated=9) in snapshot.transactions


def test_an_older_version_is_as_it_was(created, commit, add):
    commit(created, 1, add("a"))
    commit(created, 2, _removed("a"))
    assert _paths(load(created, version=1)) == ["a"]
    assert _paths(load(created, version=2)) == []


def test_what_is_not_there_is_named(store, created):
    with pytest.raises(VersionNotFound, match="version 1 "):
        load(created, version=1)
    created.delete(entry_path(0))
    with pytest.raises(TableNotFound):
        load(created)


def test_many_entries_are_replayed_in_order(created, commit, add):
    for version in range(1, 150):
        commit(created, version, add("same", size=version), add(f"f{version}"))
    files = load(created).files()
    assert files.num_rows == 150
    assert files.filter(pa.compute.equal(files["path"], "same"))["size"].to_pylist() == [149]


@pytest.mark.parametrize("missing", ["protocol", "metaData"])
def test_a_log_without_protocol_or_metadata_is_corrupt(store, commit, protocol, metadata, missing):
    commit(store, 0, metadata if missing == "protocol" else protocol)
    with pytest.raises(CorruptLog, match=missing):
        load(store)


def test_a_corrupt_entry_is_named(created, commit):
    created.put(entry_path(1), b'{"add":{}}')
    commit(created, 2, Txn(app_id="a", version=1))
    with pytest.raises(CorruptLog, match=entry_path(1)) as caught:
        load(created)
    assert caught.value.version == 1


def test_a_missing_entry_is_named(created, commit):
    commit(created, 2, Txn(app_id="a", version=1))
    with pytest.raises(CorruptLog, match=entry_path(1)):
        load(created)


class Vanishing:
    """A driver whose entry of version 1 is listed, and gone when it is read."""

    def __init__(self, driver):
        self.driver = driver

    def __getattr__(self, name):
        return getattr(self.driver, name)

    def get(self, path, **options):
        if path == entry_path(1):
            self.driver.delete(path)
        return self.driver.get(path, **options)


def test_an_entry_that_vanishes_while_loading_is_named(created, commit):
    commit(created, 1, Txn(app_id="a", version=1))
    created.driver = Vanishing(created.driver)
    with pytest.raises(CorruptLog, match=f"{entry_path(1)} is missing"):
        load(created)


def test_a_schema_that_cannot_be_read_is_a_corrupt_log(store, commit, protocol):
    commit(store, 0, protocol, Metadata(id="t", schema_string="{}"))
    with pytest.raises(CorruptLog, match="metaData at version 0"):
        _ = load(store).schema


@pytest.mark.parametrize("path", ["/etc/passwd", "s3://other/f", "a/../../f", "%2e%2e/f", ""])
def test_a_file_outside_the_table_is_refused_naming_path_and_version(created, commit, add, path):
    commit(created, 1, add("fine"))
    commit(created, 2, add(path))
    with pytest.raises(CorruptLog) as caught:
        load(created).files()
    assert caught.value.path == path
    assert caught.value.version == 2


def test_a_removed_file_outside_the_table_does_no_harm(created, commit, add):
    commit(created, 1, add("/elsewhere"), add("caf%C3%A9/a%2Fb"))
    commit(created, 2, _removed("/elsewhere"))
    assert _paths(load(created)) == ["caf%C3%A9/a%2Fb"]


NEEDS_MORE = Protocol(
    min_reader_version=3,
    min_writer_version=7,
    reader_features=("catalogManaged",),
    writer_features=("catalogManaged",),
)


def test_a_table_that_needs_what_we_lack_is_refused_on_loading(store, commit, metadata):
    commit(store, 0, NEEDS_MORE, metadata)
    with pytest.raises(UnsupportedTableFeature, match="catalogManaged"):
        load(store)


def test_refresh_reads_the_new_entries_and_lists_nothing(created, commit, add):
    snapshot = load(created)
    assert refresh(created, snapshot) is snapshot
    commit(created, 1, add("a"), Txn(app_id="a", version=1), timestamp=123)
    commit(created, 2, add("b"), inCommitTimestamp=456, timestamp=400)
    created.driver.list = None
    newer = refresh(created, snapshot)
    assert (newer.version, newer.timestamp_ms) == (2, 456)
    assert _paths(newer) == ["a", "b"]
    assert newer.txns == {"a": 1}
    assert _paths(snapshot) == []


def test_refresh_refuses_a_table_that_now_needs_what_we_lack(created, commit):
    snapshot = load(created)
    commit(created, 1, NEEDS_MORE)
    with pytest.raises(UnsupportedTableFeature):
        refresh(created, snapshot)


def _entry(version, *lines):
    return decode("\n".join(map(json.dumps, lines or [{"commitInfo": {}}])).encode(), version)


def test_advance_takes_consecutive_entries_only(created):
    snapshot = load(created)
    assert snapshot.advance([]) is snapshot
    with pytest.raises(CorruptLog, match=entry_path(1)):
        snapshot.advance([_entry(2)])
    with pytest.raises(CorruptLog, match=entry_path(2)):
        snapshot.advance([_entry(1), _entry(3)])


def test_advance_gives_what_loading_gives(created, commit, add):
    snapshot = load(created)
    for version in range(1, 40):
        actions = [add(f"f{version}"), *([_removed(f"f{version - 2}")] if version > 2 else [])]
        commit(created, version, *actions)
        entry = decode(created.get(entry_path(version)).data, version)
        snapshot = snapshot.advance([entry])
    loaded = load(created)
    assert sorted(_paths(snapshot)) == sorted(_paths(loaded)) == ["f38", "f39"]
    assert snapshot.tombstones().num_rows == loaded.tombstones().num_rows == 37
    assert snapshot._replay.tail == ()


def test_advancing_far_gives_what_loading_gives(created, commit, add):
    snapshot = load(created)
    for version in range(1, 14):
        actions = [add(f"f{version}-{number}") for number in range(300)]
        if version > 1:
            actions += [_removed(f"f{version - 1}-{number}") for number in range(299)]
        commit(created, version, *actions)
        entry = decode(created.get(entry_path(version)).data, version)
        snapshot = snapshot.advance([entry])
    loaded = load(created)
    assert sorted(_paths(snapshot)) == sorted(_paths(loaded))
    assert len(_paths(snapshot)) == 300 + 12
    assert snapshot.tombstones().num_rows == loaded.tombstones().num_rows == 12 * 299
    assert len(snapshot._replay.tail) in range(1, 8)


def test_a_metadata_change_replaces_schema_and_configuration(created, commit, metadata):
    snapshot = load(created)
    commit(
        created, 1, Metadata(id="t", schema_string=metadata.schema_string, configuration={"k": "v"})
    )
    assert refresh(created, snapshot).configuration == {"k": "v"}
    assert snapshot.configuration == {}


def test_the_timestamp_is_the_entrys_in_commit_timestamp_or_its_time_in_the_store(created, commit):
    written = int(created.head(entry_path(0)).last_modified.timestamp() * 1000)
    assert load(created).timestamp_ms == written
    commit(created, 1, inCommitTimestamp=77)
    assert load(created).timestamp_ms == 77


def test_a_snapshot_can_be_read_by_many_threads(created, commit, add):
    commit(created, 1, *[add(f"f{number}") for number in range(100)])
    snapshot = load(created)
    rows = []
    threads = [
        threading.Thread(target=lambda: rows.append(snapshot.files().num_rows)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows == [100] * 8


def test_in_commit_timestamps_are_off_without_metadata():
    assert not module.in_commit_timestamps(None)
