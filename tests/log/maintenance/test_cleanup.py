"""Cleaning the log: what goes, what stays, and that every version that stays can be read."""

import datetime as dt
import os
from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from atomic_manifest.errors import UnsupportedTableFeature, VersionNotFound
from atomic_manifest.log.actions import Protocol, Remove
from atomic_manifest.log.checkpoint.reader import Checkpoint
from atomic_manifest.log.checkpoint.reader import sidecar_path as path_of
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.folder.compaction import compact_log, compaction_path
from atomic_manifest.log.folder.segment import SIDECAR_FOLDER, list_log
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path, write_checkpoint
from atomic_manifest.log.maintenance.cleanup import cleanup_metadata
from atomic_manifest.log.maintenance.upkeep import checkpoint
from atomic_manifest.log.state.checksum import checksum_path
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.open import open_store
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.testing import FakeEnv
from tests.log import layouts
from tests.log.corruption import content

DAY = 24 * 60 * 60
MIDNIGHT = 1_700_006_400  # 2023-11-15, UTC
POLICY = "delta.checkpointPolicy"


def daily(versions, *, checkpoints=(), protocol=None, **configuration):
    """A log with a version a day, the first one at noon; the clock stands at the last one."""
    env = FakeEnv(start=MIDNIGHT + DAY / 2)
    store = ObjectStore(MemoryDriver(env=env), env=env)
    first = [protocol or layouts.protocol(), layouts.metadata(**configuration)]
    for version in range(versions):
        if version:
            env.sleep(DAY)
        layouts.write_entry(store, version, layouts.actions(version) if version else first)
        if version in checkpoints:
            checkpoint(store, load(store))
    return store


def cleaned(store):
    return sorted(path.removeprefix("_delta_log/") for path in cleanup_metadata(store, load(store)))


def contents(store, versions):
    return {version: content(store, version) for version in versions}


def test_what_lies_before_the_newest_expired_checkpoint_goes_and_all_else_can_be_read():
    store = daily(41, checkpoints=(2, 5, 30))
    compact_log(store, 3, 5)
    compact_log(store, 6, 9)
    before = contents(store, range(5, 41))
    gone = cleaned(store)
    assert gone == sorted(
        [
            *(f"{version:020}.json" for version in range(5)),
            f"{2:020}.checkpoint.parquet",
            f"{2:020}.crc",
            f"{3:020}.{5:020}.compacted.json",
        ]
    )
    assert contents(store, range(5, 41)) == before
    with pytest.raises(VersionNotFound, match="oldest is 5"):
        load(store, version=4)


@pytest.mark.parametrize(("days", "first"), [(29, 0), (30, 0), (31, 1), (32, 1)])
def test_versions_expire_at_the_midnight_before(days, first):
    store = daily(2, checkpoints=(1,), **{"delta.logRetentionDuration": "interval 30 days"})
    at = store.env.now()  # noon of the day of version 1
    store.env.sleep(days * DAY - DAY / 2)
    assert store.env.now() - at == days * DAY - DAY / 2
    cleanup_metadata(store, load(store))
    assert min(list_log(store).entries) == first


def test_without_a_checkpoint_nothing_goes():
    store = daily(3)
    store.env.sleep(400 * DAY)
    assert cleaned(store) == []
    assert content(store, 0)


def test_a_checkpoint_that_has_not_expired_replaces_nothing():
    store = daily(10, checkpoints=(9,))
    store.env.sleep(20 * DAY)
    assert cleaned(store) == []


def test_a_checkpoint_that_cannot_be_read_replaces_nothing():
    store = daily(10, checkpoints=(4,))
    store.env.sleep(100 * DAY)
    whole = bytes(store.get(checkpoint_path(4)).data)
    for damaged in (whole[:100], whole[:200] + b"?" + whole[201:], b""):
        store.put(checkpoint_path(4), damaged)
        assert cleanup_metadata(store, load(store, version=2)) == []
        assert content(store, 0)


def test_the_checkpoint_before_one_that_cannot_be_read_is_kept():
    store = daily(10, checkpoints=(2, 6))
    store.env.sleep(100 * DAY)
    store.put(checkpoint_path(6), b"PAR1PAR1")
    assert cleaned(store) == [f"{0:020}.json", f"{1:020}.json"]
    before = contents(daily(10), range(2, 6))
    assert contents(store, range(2, 6)) == before


def test_a_hole_in_the_log_keeps_everything():
    store = daily(10, checkpoints=(3,))
    store.env.sleep(100 * DAY)
    state = load(store, version=3)
    store.delete(entry_path(5))
    assert cleanup_metadata(store, state) == []


def test_cleaning_twice_removes_nothing_more():
    store = daily(10, checkpoints=(4,))
    store.env.sleep(100 * DAY)
    assert cleaned(store)
    assert cleaned(store) == []
    assert content(store, 4) == content(daily(10), 4)


@pytest.mark.parametrize("feature", ["checkpointProtection", "catalogManaged"])
def test_a_log_that_is_protected_is_refused_and_kept(feature):
    store = daily(3, checkpoints=(1,))
    store.env.sleep(100 * DAY)
    paths = [meta.path for meta in store.list("_delta_log")]
    state = load(store)
    features = (*state.protocol.writer_features, feature)
    state.protocol = Protocol(
        min_reader_version=3,
        min_writer_version=7,
        reader_features=state.protocol.reader_features,
        writer_features=features,
    )
    with pytest.raises(UnsupportedTableFeature, match=feature):
        cleanup_metadata(store, state)
    assert [meta.path for meta in store.list("_delta_log")] == paths


def test_a_retention_that_is_no_duration_keeps_everything():
    store = daily(40, checkpoints=(1, 30), **{"delta.logRetentionDuration": "interval 1 month"})
    store.env.sleep(400 * DAY)
    assert cleaned(store) == []


def test_a_clock_that_is_ahead_removes_nothing_that_the_store_has_not_had_for_long_enough():
    theirs = daily(20, checkpoints=(5, 12))
    mine = ObjectStore(theirs.driver, env=FakeEnv(start=theirs.env.now() + 400 * DAY))
    assert cleanup_metadata(mine, load(mine)) == []
    theirs.env.sleep(40 * DAY)
    assert cleanup_metadata(mine, load(mine))
    assert content(theirs, 12) == content(daily(20), 12)


def test_a_clock_that_is_ahead_drops_no_tombstone_from_a_checkpoint():
    theirs = daily(2)
    first = load(theirs).files()["path"][0].as_py()
    removed = Remove(path=first, deletion_timestamp=int(theirs.env.now() * 1000))
    layouts.write_entry(theirs, 2, [removed])
    mine = ObjectStore(theirs.driver, env=FakeEnv(start=theirs.env.now() + 400 * DAY))
    checkpoint(mine, load(mine))
    assert Checkpoint(theirs, list_log(theirs).checkpoints[-1]).removes()["path"].to_pylist() == [
        first
    ]


class Timeless(PassingDriver):
    """A service that does not tell when its objects were written."""

    def list(self, prefix="", *, start_after=None):
        return (
            replace(m, last_modified=None) for m in self.inner.list(prefix, start_after=start_after)
        )

    def head(self, path, *, if_none_match=None):
        return replace(self.inner.head(path, if_none_match=if_none_match), last_modified=None)


def test_nothing_expires_where_the_store_tells_no_times():
    store = daily(40, checkpoints=(1, 30))
    store.env.sleep(400 * DAY)
    timeless = ObjectStore(Timeless(store.driver), env=store.env)
    assert cleanup_metadata(timeless, load(timeless)) == []


def sidecars(store):
    return {meta.path for meta in store.list(SIDECAR_FOLDER)}


def named(store):
    checkpoints = [Checkpoint(store, files) for files in list_log(store).checkpoints]
    return {path_of(sidecar.path) for each in checkpoints for sidecar in each.sidecars}


def test_sidecars_that_no_checkpoint_names_go_when_they_are_old():
    store = daily(10, checkpoints=(2, 6), **{POLICY: "v2"})
    store.env.sleep(100 * DAY)
    orphan = f"{SIDECAR_FOLDER}/orphan.parquet"
    store.put(orphan, b"of a checkpoint that failed long ago")
    store.env.sleep(3 * DAY)
    young = f"{SIDECAR_FOLDER}/young.parquet"
    store.put(young, b"of a checkpoint in the making")
    before = contents(store, range(6, 10))
    assert orphan in cleanup_metadata(store, load(store))
    assert sidecars(store) == named(store) | {young}
    assert contents(store, range(6, 10)) == before


def test_sidecars_stay_when_a_checkpoint_that_is_left_cannot_be_read():
    store = daily(10, checkpoints=(2, 6, 8), **{POLICY: "v2"})
    store.env.sleep(100 * DAY)
    before = sidecars(store)
    state = load(store)
    last = [files.paths[0] for files in list_log(store).checkpoints if files.version == 8][-1]
    store.put(last, b"?")
    assert cleanup_metadata(store, state)
    assert sidecars(store) == before


def test_the_checksum_of_the_kept_checkpoint_stays_and_its_compaction_goes():
    store = daily(10, checkpoints=(4,))
    compact_log(store, 4, 8)
    store.env.sleep(100 * DAY)
    gone = cleanup_metadata(store, load(store))
    assert compaction_path(4, 8) in gone
    assert store.head(checksum_path(4))


def test_a_failure_midway_leaves_a_log_that_reads_the_same():
    class Failing(MemoryDriver):
        left = 3

        def delete_many(self, paths):
            super().delete_many(list(paths)[: self.left])
            raise OSError("no more")

    env = FakeEnv(start=MIDNIGHT)
    store = ObjectStore(Failing(env=env), env=env)
    layouts.written(store, checkpoints=(5, 10))
    env.sleep(100 * DAY)
    before = contents(store, range(10, 14))
    with pytest.raises(OSError, match="no more"):
        cleanup_metadata(store, load(store))
    assert contents(store, range(10, 14)) == before


def test_the_log_of_deltalake_is_cleaned_and_deltalake_reads_on(tmp_path):
    for number in range(6):
        write_deltalake(tmp_path, pa.table({"x": [number]}), mode="append")
        if number == 3:
            DeltaTable(tmp_path).create_checkpoint()
    log = tmp_path / "_delta_log"
    old = (dt.datetime.now(dt.UTC) - dt.timedelta(days=90)).timestamp()
    for file in log.iterdir():
        os.utime(file, (old, old))
    store = open_store(tmp_path)
    gone = cleanup_metadata(store, load(store))
    assert gone == [entry_path(version) for version in range(3)]
    for version in (3, 4, 5):
        theirs = DeltaTable(tmp_path, version=version).to_pyarrow_table()["x"].to_pylist()
        assert sorted(theirs) == list(range(version + 1))
        assert load(store, version=version).files().num_rows == version + 1


def test_a_checkpoint_after_cleaning_builds_on_the_one_that_was_kept():
    store = daily(12, checkpoints=(4,))
    store.env.sleep(100 * DAY)
    cleanup_metadata(store, load(store))
    write_checkpoint(store, load(store))
    assert list_log(store).checkpoints[-1].version == 11
    for version in range(5, 12):
        store.delete(entry_path(version))
    assert content(store) == content(daily(12))
