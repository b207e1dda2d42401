"""Checkpoints of the V2 kind and in parts, writers that race, and upkeep that fails."""

import logging

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaProtocolError
from duckdb_extensions import import_extension

import atomic_manifest as am
from atomic_manifest.errors import CorruptLog, StorePermissionDenied
from atomic_manifest.log.checkpoint import parts
from atomic_manifest.log.checkpoint.reader import Checkpoint
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.folder.hint import read_hint
from atomic_manifest.log.folder.segment import SIDECAR_FOLDER, list_log
from atomic_manifest.log.maintenance.checkpoint_writer import checkpoint_path, write_checkpoint
from atomic_manifest.log.maintenance.upkeep import maintain
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.open import open_store
from atomic_manifest.testing import FakeEnv
from tests.log import layouts
from tests.log.corruption import content, stored

POLICY = {"delta.checkpointPolicy": "v2"}


def fresh(driver=MemoryDriver):
    env = FakeEnv()
    return ObjectStore(driver(env=env), env=env)


def without_entries(table, upto):
    gone = {entry_path(version) for version in range(upto + 1)}
    return {path: data for path, data in table.objects.items() if path not in gone}


# --- V2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [layouts.v2, layouts.v2_json, layouts.multi_part])
def test_without_the_entries_before_it_a_checkpoint_of_any_kind_holds_the_whole_state(make):
    table = make()
    version = list_log(stored(table.objects)).checkpoints[-1].version
    objects = without_entries(table, version)
    assert content(stored(objects)) == table.versions[layouts.NEWEST]


def test_the_policy_asks_for_sidecars_with_unique_names():
    table = layouts.v2()
    store = stored(table.objects)
    last = list_log(store).checkpoints[-1]
    sidecars = Checkpoint(store, last).sidecars
    assert len(sidecars) > 2
    assert len(last.paths[0]) > len(checkpoint_path(last.version))
    for sidecar in sidecars:
        assert store.head(f"{SIDECAR_FOLDER}/{sidecar.path}").size == sidecar.size_in_bytes
    rows = pq.read_table(pa.BufferReader(table.objects[last.paths[0]]))
    assert [row["version"] for row in rows["checkpointMetadata"].drop_null().to_pylist()] == [12]
    assert "add" not in rows.column_names


def test_without_the_feature_the_policy_is_not_followed():
    store = fresh()
    features = layouts.protocol()
    plain = type(features)(
        min_reader_version=3,
        min_writer_version=7,
        reader_features=("deletionVectors",),
        writer_features=("deletionVectors",),
    )
    layouts.write_entry(store, 0, [plain, layouts.metadata(**POLICY)])
    write_checkpoint(store, load(store))
    assert list_log(store).checkpoints[0].paths == (checkpoint_path(0),)


@pytest.mark.parametrize("damage", ["missing", "cut", "another", "twice"])
def test_a_damaged_sidecar_is_passed_over_with_a_warning_or_named(damage):
    table = layouts.v2()
    last = list_log(stored(table.objects)).checkpoints[-1]
    one, two, *_ = sorted(
        f"{SIDECAR_FOLDER}/{sidecar.path}"
        for sidecar in Checkpoint(stored(table.objects), last).sidecars
    )

    def damaged(objects):
        objects = dict(objects)
        if damage == "missing":
            del objects[one]
        elif damage == "cut":
            objects[one] = objects[one][:-20]
        else:
            objects[one] = objects[two]
        return stored(objects)

    with pytest.warns(RuntimeWarning, match="damaged checkpoint passed over"):
        assert content(damaged(table.objects)) == table.versions[layouts.NEWEST]
    names = {path for path in table.objects if "checkpoint" in path and path not in last.paths}
    alone = {path: data for path, data in without_entries(table, 12).items() if path not in names}
    with pytest.raises(CorruptLog, match=one):
        content(damaged(alone))


def test_a_checkpoint_that_says_it_is_of_another_version_is_corrupt():
    table = layouts.v2_json()
    (top,) = (path for path in table.objects if "80a083e8" in path)
    objects = without_entries(table, 10)
    objects[top] = objects[top].replace(b'"version":10}', b'"version":9}', 1)
    with pytest.raises(CorruptLog, match="of version 9"):
        load(stored(objects))


def test_a_sidecar_cut_off_is_named_when_only_ranges_of_it_are_read(monkeypatch):
    monkeypatch.setattr(parts, "WHOLE", 0)
    table = layouts.v2_json()
    objects = without_entries(table, 10)
    path = next(path for path in objects if SIDECAR_FOLDER in path)
    objects[path] = objects[path][:50]
    with pytest.raises(CorruptLog, match=path):
        content(stored(objects))


def test_parts_of_several_writers_that_were_mixed_up_are_corrupt():
    table = layouts.multi_part()
    objects = without_entries(table, 10)
    second, third = sorted(path for path in objects if ".checkpoint." in path)[1:]
    objects[third] = objects[second]
    with pytest.raises(CorruptLog, match="twice"):
        content(stored(objects))


@pytest.mark.interop
def test_other_engines_read_tables_with_v2_checkpoints(tmp_path):
    rows = pa.table({"x": pa.array(range(6), pa.int64()), "p": list("ababab")})
    url = str(tmp_path / "t")
    configuration = {**POLICY, "delta.checkpointInterval": "2"}
    table = am.Table.create(url, rows.schema, partition_by=["p"], configuration=configuration)
    for start in range(6):
        table.append(rows.slice(start, 1))
    assert DeltaTable(url).protocol().reader_features == ["v2Checkpoint"]
    assert any((tmp_path / "t" / SIDECAR_FOLDER).iterdir())
    with pytest.raises(DeltaProtocolError, match="v2Checkpoint"):  # Polars reads none of these
        pl.scan_delta(url).collect()
    assert pa.table(DeltaTable(url).get_add_actions()).num_rows == 6  # of rows it gives none
    import_extension("delta")
    with duckdb.connect() as connection:
        connection.execute("LOAD delta")
        found = connection.execute(f"SELECT x FROM delta_scan('{url}') ORDER BY x").fetchall()
    assert found == [(x,) for x in range(6)]


# --- races and upkeep --------------------------------------------------------------------------


class Racing(MemoryDriver):
    """Another writer puts the same checkpoint just before ours appears."""

    before = None

    def put(self, path, data, *, when=None, metadata=None):
        if self.before is not None and path.endswith(".checkpoint.parquet"):
            first, self.before = self.before, None
            first()
        return super().put(path, data, when=when, metadata=metadata)


def test_of_two_writers_of_a_checkpoint_one_wins_and_both_are_content():
    store = fresh(Racing)
    layouts.written(store)
    results = []
    store.driver.before = lambda: results.append(write_checkpoint(store, load(store)))
    results.append(write_checkpoint(store, load(store)))
    assert [result is None for result in results] == [False, True]
    assert len(list_log(store).checkpoints) == 1
    assert read_hint(store).version == layouts.NEWEST


def test_two_writers_of_a_v2_checkpoint_write_two_and_both_can_be_read():
    store = fresh()
    layouts.written(store, **POLICY)
    first, second = load(store), load(store)
    expected = content(store)
    assert write_checkpoint(store, first) is not None
    assert write_checkpoint(store, second) is not None
    for files in list_log(store).checkpoints:
        others = {p for c in list_log(store).checkpoints if c is not files for p in c.paths}
        objects = {
            meta.path: bytes(store.get(meta.path).data)
            for meta in store.list("_delta_log")
            if meta.path not in others
        }
        assert content(stored(objects)) == expected


def test_a_writer_that_is_late_does_not_move_the_hint_back():
    store = fresh()
    layouts.written(store)
    late = load(store, version=6)
    write_checkpoint(store, load(store))
    write_checkpoint(store, late)
    assert read_hint(store).version == layouts.NEWEST
    assert [files.version for files in list_log(store).checkpoints] == [6, layouts.NEWEST]


class NoCheckpoints(MemoryDriver):
    def put(self, path, data, *, when=None, metadata=None):
        if "checkpoint" in path or path.endswith(".compacted.json"):
            raise StorePermissionDenied(f"{path}: no", path=path)
        return super().put(path, data, when=when, metadata=metadata)


@pytest.mark.parametrize(
    ("what", "configuration"),
    [
        ("checkpoint", {"delta.checkpointInterval": "13"}),
        ("checkpoint", {"delta.checkpointInterval": "13", **POLICY}),
        ("compacted entry", {"atomicManifest.logCompactionInterval": "7"}),
    ],
)
def test_upkeep_that_fails_is_logged_and_raises_nothing(caplog, what, configuration):
    store = fresh(NoCheckpoints)
    layouts.written(store, **configuration)
    expected = content(store)
    with caplog.at_level(logging.WARNING, "atomic_manifest"):
        maintain(store, load(store))
    assert f"no {what} of version 13" in caplog.text
    assert content(store) == expected


def test_a_table_makes_its_compacted_entries_itself(tmp_path):
    rows = pa.table({"x": pa.array([1], pa.int64())})
    configuration = {"atomicManifest.logCompactionInterval": "3"}
    table = am.Table.create(str(tmp_path), rows.schema, configuration=configuration)
    for _ in range(8):
        table.append(rows)
    names = sorted(file.name for file in (tmp_path / "_delta_log").glob("*.compacted.json"))
    assert names == [f"{n:020}.{n + 2:020}.compacted.json" for n in (0, 3, 6)]
    assert len(deltalake.DeltaTable(tmp_path).to_pyarrow_table()) == 8
    assert pl.scan_delta(str(tmp_path)).collect().height == 8
    assert load(open_store(tmp_path)).files().num_rows == 8
