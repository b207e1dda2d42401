import os
from datetime import UTC, datetime

import msgspec
import pytest

from atomic_manifest.errors import CorruptLog, TableNotFound, VersionNotFound
from atomic_manifest.log.actions import Txn
from atomic_manifest.log.entry import CommitRecord, commit_info, encode, entry_path, seal
from atomic_manifest.log.maintenance.checkpoint_writer import write_checkpoint
from atomic_manifest.log.state.history import history, version_at
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore


@pytest.fixture
def dated(tmp_path, commit, protocol, metadata):
    """Makes a table whose entries were written at the given seconds."""

    def make(*seconds):
        store = ObjectStore(LocalDriver(tmp_path))
        for version, second in enumerate(seconds):
            first = (protocol, metadata) if version == 0 else ()
            commit(store, version, *first, timestamp=5, operation=f"OP {version}")
            os.utime(tmp_path / entry_path(version), (second, second))
        return store

    return make


def test_history_is_newest_first_with_what_the_writer_said(dated):
    records = list(history(dated(10, 20, 30)))
    assert [record.version for record in records] == [2, 1, 0]
    assert records[0].timestamp == datetime.fromtimestamp(30, UTC)
    assert records[0].operation == "OP 2"
    assert records[0].fields == {"timestamp": 5, "operation": "OP 2"}
    assert records[0].parameters == {}
    assert records[0].commits == ()


def test_history_can_be_limited(dated):
    store = dated(*range(40))
    assert [record.version for record in history(store, limit=2)] == [39, 38]
    assert list(history(store, limit=0)) == []
    assert len(list(history(store))) == 40


def test_history_names_the_commits_of_our_own_entries(created):
    records = [CommitRecord(id="a", operation="WRITE"), CommitRecord(id="b", operation="DELETE")]
    info = commit_info(
        records,
        timestamp_ms=1,
        operation="WRITE",
        parameters={"mode": "Append"},
        read_version=0,
        isolation="Serializable",
        blind_append=True,
        engine="e",
    )
    created.put(entry_path(1), seal(encode([info]), 1))
    newest, first = history(created)
    assert newest.commits == tuple(records)
    assert newest.parameters == {"mode": "Append"}
    assert (first.operation, first.commits, first.fields) == (None, (), {})


def test_history_goes_back_as_far_as_the_log_does(dated):
    store = dated(1, 2, 3, 4)
    write_checkpoint(store, load(store))
    store.delete(entry_path(1))
    assert [record.version for record in history(store)] == [3, 2]


def test_a_location_without_entries_has_no_history(store):
    with pytest.raises(TableNotFound, match="memory"):
        list(history(store))
    with pytest.raises(TableNotFound):
        version_at(store, 0)


def test_a_corrupt_entry_in_the_history_is_named(dated):
    store = dated(1, 2)
    store.put(entry_path(1), b"x")
    with pytest.raises(CorruptLog, match=entry_path(1)):
        list(history(store))


@pytest.mark.parametrize(
    ("timestamp_ms", "version"), [(10_000, 0), (19_999, 0), (20_000, 1), (30_000, 2), (10**14, 2)]
)
def test_the_version_at_a_time_is_the_newest_committed_by_then(dated, timestamp_ms, version):
    assert version_at(dated(10, 20, 30), timestamp_ms) == version


def test_a_time_before_the_first_commit_is_not_found(dated):
    with pytest.raises(VersionNotFound, match=r"1970-01-01T00:00:09.*version 0"):
        version_at(dated(10, 20), 9_999)


def test_a_time_in_a_gap_behind_an_old_checkpoint_is_not_found(dated):
    store = dated(*range(10, 100, 10))
    for version in (2, 7):
        write_checkpoint(store, load(store, version=version))
    for version in (3, 4, 5):
        store.delete(entry_path(version))
    for second in (49, 55, 60, 69):  # of versions 3 to 5, of which nothing is left
        with pytest.raises(VersionNotFound):
            version_at(store, second * 1000)
    assert version_at(store, 75_000) == 6  # its entry is left, and yet it cannot be reached
    for version in (3, 4, 5, 6):
        with pytest.raises(VersionNotFound, match="the next one is 7"):
            load(store, version=version)
    assert load(store, version=version_at(store, 80_000)).version == 7
    assert load(store, version=2).version == 2


def test_a_newest_version_that_only_a_checkpoint_is_left_of_is_the_latest_at_any_later_time(dated):
    store = dated(10, 20, 30)
    write_checkpoint(store, load(store))
    for version in range(3):
        store.delete(entry_path(version))
    assert version_at(store, 10**14) == 2
    with pytest.raises(VersionNotFound):
        version_at(store, 5_000)


def test_times_that_do_not_ascend_are_made_to(dated):
    store = dated(10, 50, 20, 60)
    assert version_at(store, 50_000) == 1
    assert version_at(store, 50_001) == 2
    assert version_at(store, 59_999) == 2
    assert [record.timestamp.timestamp() for record in history(store)] == [60, 50.001, 50, 10]


@pytest.fixture
def in_commit(store, commit, protocol, metadata):
    """In-commit timestamps from version 2 on, where they begin at a time far in the future."""
    configuration = {
        "delta.enableInCommitTimestamps": "true",
        "delta.inCommitTimestampEnablementVersion": "2",
    }
    commit(store, 0, protocol, metadata)
    commit(store, 1, Txn(app_id="a", version=1))
    enabled = msgspec.structs.replace(metadata, configuration=configuration)
    commit(store, 2, enabled, inCommitTimestamp=10**14)
    for version in range(3, 9):
        commit(store, version, inCommitTimestamp=10**14 + 10 * version)
    return store


def test_in_commit_timestamps_decide_from_the_version_that_enabled_them(in_commit):
    written = int(in_commit.head(entry_path(1)).last_modified.timestamp() * 1000)
    assert version_at(in_commit, 10**14) == 2
    assert version_at(in_commit, 10**14 + 45) == 4
    assert version_at(in_commit, 10**15) == 8
    assert version_at(in_commit, written + 60_000) == 1
    with pytest.raises(VersionNotFound):
        version_at(in_commit, 5)
    assert next(history(in_commit)).timestamp.timestamp() * 1000 == 10**14 + 80


def test_an_entry_without_the_in_commit_timestamp_it_must_have_is_corrupt(in_commit, commit):
    commit(in_commit, 5, timestamp=5)
    with pytest.raises(CorruptLog, match=entry_path(5)):
        version_at(in_commit, 10**14 + 55)
