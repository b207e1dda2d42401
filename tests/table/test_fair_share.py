"""Deletes, overwrites and transactions beside writers of other libraries, which never step back."""

import os

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.log.actions import Add, Remove
from atomic_manifest.log.entry import encode, entry_path
from atomic_manifest.store import open_store
from atomic_manifest.testing import FakeEnv

ROWS = pa.table({"id": [1, 2, 3], "v": [0.0, 0.0, 0.0]})


@pytest.fixture
def place(tmp_path):
    return str(tmp_path / "t")


def rewrite(place):
    """Another library replaces the table's only file by a copy, as a compaction or an update does."""
    table = am.Table.open(place)
    (row,) = table.files().to_pylist()
    store = open_store(place)
    copy = f"{os.urandom(8).hex()}.parquet"
    store.copy(row["path"], copy)
    add = Add(
        path=copy,
        partition_values={},
        size=row["size"],
        modification_time=0,
        data_change=True,
        stats=row["stats"],
    )
    lines = encode([Remove(path=row["path"], data_change=True), add])
    store.put(entry_path(table.version + 1), lines)


def beside(place, monkeypatch, times):
    """A table whose next so many transactions find, at their end, that others rewrote what they read."""
    am.Table.create(place, ROWS.schema).append(ROWS)
    left = [times]
    settle = am.workspace.Workspace.settle

    def settle_late(work):
        if left[0]:
            left[0] -= 1
            work._tallies.refused = False  # nobody looks: they come in between
            rewrite(place)
        settle(work)

    monkeypatch.setattr("atomic_manifest.workspace.Workspace.settle", settle_late)
    return am.Table.open(place)


def test_pauses_beside_writers_that_do_not_step_back_stay_short(place, monkeypatch):
    table = beside(place, monkeypatch, 15)
    env = FakeEnv()
    monkeypatch.setattr(table._handle, "env", env)
    assert table.delete("id = 1").rows_deleted == 1
    assert len(env.slept) == 15
    assert max(env.slept) <= 0.01


def test_a_delete_outlasts_fifty_rewrites_by_others(place, monkeypatch):
    table = beside(place, monkeypatch, 50)
    monkeypatch.setattr(table._handle, "env", FakeEnv())
    assert table.delete("id = 1").rows_deleted == 1
    assert sorted(table.to_arrow()["id"].to_pylist()) == [2, 3]


def test_a_file_that_was_counted_is_not_read_again_after_a_refusal(place, monkeypatch):
    """Only the file that others replaced is; the one that holds no such row is known."""
    am.Table.create(place, ROWS.schema)
    table = am.Table.open(place)
    for first in (0, 10):
        table.append(pa.table({"id": [first + 1, first + 9], "v": [0.0, 0.0]}))
    (kept,) = [row["path"] for row in table.files().to_pylist() if '"id":1,' in row["stats"]]
    counted = []
    original = am.workspace.tally_where

    def tally(store, snapshot, files, predicate):
        counted.append(files["path"].to_pylist())
        return original(store, snapshot, files, predicate)

    monkeypatch.setattr("atomic_manifest.workspace.tally_where", tally)
    attempts = []

    def body(transaction):
        attempts.append(transaction.delete("id = 5 or id = 19"))
        if len(attempts) == 1:
            am.Table.open(place).delete("id = 19")

    table.run(body)
    assert attempts == [1, 0]
    assert sum(kept in paths for paths in counted) <= 2  # once here, once by the other handle


def test_what_is_refused_again_is_refused_before_anything_is_written(place, monkeypatch):
    am.Table.create(place, ROWS.schema).append(ROWS)
    table = am.Table.open(place)
    uploads = []
    original = am.workspace.stage

    def stage(*arguments, **options):
        uploads.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr("atomic_manifest.workspace.stage", stage)
    attempts = []

    def body(transaction):
        attempts.append(1)
        if len(attempts) < 4:
            rewrite(place)
        transaction.delete("id = 1")

    table.run(body)
    assert (len(attempts), len(uploads)) == (4, 2)  # the first attempt does not look


def test_the_first_attempt_looks_at_the_log_no_more_often(place, monkeypatch):
    am.Table.create(place, ROWS.schema).append(ROWS)
    table = am.Table.open(place)

    def read_entry(_store, version):
        raise AssertionError(f"version {version} was looked for")

    monkeypatch.setattr("atomic_manifest.workspace.read_entry", read_entry)
    assert table.delete("id = 1").rows_deleted == 1


def test_files_of_a_transaction_that_is_refused_are_forced_to_no_disk(place, monkeypatch):
    am.Table.create(place, ROWS.schema).append(ROWS)
    table = am.Table.open(place)
    synced = []
    original = os.fsync

    def fsync(handle):
        synced.append(handle)
        original(handle)

    def roll_back():
        with table.transaction() as transaction:
            transaction.delete("id = 1")
            transaction.append(ROWS)
            raise ZeroDivisionError

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(ZeroDivisionError):
        roll_back()
    assert synced == []
    table.delete("id = 1")
    assert len(synced) >= 4  # the file, its folder, the entry, the log's folder
