from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from tests.table.conftest import SCHEMA, ids, rows


def test_a_created_table_is_empty_and_at_version_zero(table):
    assert table.version == 0
    assert table.schema == SCHEMA
    assert table.to_arrow().num_rows == 0


def test_append_moves_the_handle_and_tells_what_it_did(table):
    result = table.append(rows(1, 2))
    assert (result.version, result.files, result.rows, result.attempts) == (1, 1, 2, 1)
    assert not result.already_committed
    assert table.version == 1
    assert ids(table) == [1, 2]


def test_other_handles_see_a_commit_after_refresh(table):
    other = am.Table.open(table.url)
    table.append(rows(1))
    assert ids(other) == []
    assert ids(other.refresh()) == [1]


def test_a_stale_handle_rebases_on_what_others_committed(table):
    stale = am.Table.open(table.url)
    for number in range(5):
        table.append(rows(number))
    result = stale.append(rows(5))
    assert result.version == 6
    assert ids(stale) == ids(table.refresh()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "data",
    [
        rows(1, 2),
        rows(1, 2).to_batches()[0],
        rows(1, 2).to_reader(),
        rows(1, 2).to_pandas(),
        pl.from_arrow(rows(1, 2)),
        [rows(1), rows(2)],
        (part for part in (rows(1), rows(2))),
        {"id": [1, 2], "name": ["row 1", "row 2"]},
    ],
    ids=lambda data: f"{type(data).__module__}.{type(data).__name__}",
)
def test_append_takes_every_kind_of_input(table, data):
    assert table.append(data).rows == 2
    assert table.to_arrow().sort_by("id").equals(rows(1, 2))


def test_overwrite_replaces_all_rows_and_keeps_history(table):
    table.append(rows(1))
    table.append(rows(2))
    table.overwrite(rows(3))
    assert ids(table) == [3]
    assert ids(am.Table.open(table.url, version=2)) == [1, 2]


def test_overwrite_with_no_rows_empties_the_table(table):
    table.append(rows(1))
    table.overwrite(rows())
    assert ids(table) == []


def test_a_stale_overwrite_replaces_what_was_appended_meanwhile(table):
    stale = am.Table.open(table.url)
    table.append(rows(1))
    stale.overwrite(rows(2))
    assert ids(stale) == [2]


def test_a_stale_append_survives_an_overwrite(table):
    stale = am.Table.open(table.url)
    table.overwrite(rows(1))
    stale.append(rows(2))
    assert ids(stale) == [1, 2]


def test_overwrite_of_an_append_only_table_is_refused_and_leaves_no_file(tmp_path):
    table = am.Table.create(tmp_path / "t", SCHEMA, configuration={"delta.appendOnly": "true"})
    table.append(rows(1))
    before = sorted((tmp_path / "t").rglob("*.parquet"))
    with pytest.raises(am.errors.TableIsAppendOnly, match="append-only"):
        table.overwrite(rows(2))
    assert sorted((tmp_path / "t").rglob("*.parquet")) == before
    assert ids(table.refresh()) == [1]


def test_create_refuses_an_existing_table_unless_told_otherwise(table):
    table.append(rows(1))
    with pytest.raises(am.errors.TableAlreadyExists):
        am.Table.create(table.url, SCHEMA)
    assert ids(am.Table.create(table.url, SCHEMA, if_not_exists=True)) == [1]


def test_create_does_not_revive_a_log_whose_beginning_was_cleaned(table, tmp_path):
    for number in range(3):
        table.append(rows(number))
    table.checkpoint()
    for version in range(3):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(am.errors.TableAlreadyExists):
        am.Table.create(table.url, SCHEMA)
    am.append(table.url, rows(3))
    assert ids(am.Table.open(table.url)) == [0, 1, 2, 3]


def test_open_names_the_place_that_holds_no_table(tmp_path):
    with pytest.raises(am.errors.TableNotFound, match="nowhere"):
        am.Table.open(tmp_path / "nowhere")
    assert not am.Table.exists(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_append_creates_a_missing_table_with_its_rows_in_one_entry(tmp_path):
    result = am.append(tmp_path / "t", rows(1), partition_by=["name"])
    assert result.version == 0
    table = am.Table.open(tmp_path / "t")
    assert table.partition_columns == ("name",)
    assert ids(table) == [1]
    assert am.append(tmp_path / "t", rows(2)).version == 1


def test_append_refuses_a_table_partitioned_otherwise(table):
    with pytest.raises(am.errors.SchemaMismatch, match="partitioned"):
        am.append(table.url, rows(1), partition_by=["name"])


def test_a_repeated_txn_is_not_written_again(table):
    first = table.append(rows(1), txn=("loader", 7))
    again = table.append(rows(1), txn=("loader", 7))
    assert not first.already_committed
    assert again.already_committed
    assert ids(table.refresh()) == [1]
    assert table.version == 1


def test_a_txn_won_by_another_handle_is_recognised_while_rebasing(table, tmp_path):
    stale = am.Table.open(table.url)
    table.append(rows(1), txn=("loader", 7))
    files = sorted((tmp_path / "t").rglob("*.parquet"))
    again = stale.append(rows(1), txn=("loader", 7))
    assert again.already_committed
    assert again.version == 1
    assert again.rows == 0
    assert sorted((tmp_path / "t").rglob("*.parquet")) == files
    assert ids(stale) == [1]


def test_a_txn_without_rows_is_recorded(table):
    table.append(rows(), txn=("loader", 1))
    assert table.append(rows(1), txn=("loader", 1)).already_committed
    assert ids(table) == []


def test_time_travel_by_version_and_by_time(table):
    table.append(rows(1))
    table.append(rows(2))
    assert ids(am.Table.open(table.url, version=1)) == [1]
    future = datetime.now(UTC) + timedelta(days=1)
    assert ids(am.Table.open(table.url, version=future)) == [1, 2]
    with pytest.raises(am.errors.VersionNotFound, match="9"):
        am.Table.open(table.url, version=9)
    with pytest.raises(am.errors.VersionNotFound):
        am.Table.open(table.url, version=datetime(2001, 1, 1, tzinfo=UTC))


def test_time_travel_by_the_time_of_a_commit_finds_that_commit(table, tmp_path):
    import os

    table.append(rows(1))
    table.append(rows(2))
    for version in range(3):
        entry = tmp_path / "t" / "_delta_log" / f"{version:020}.json"
        os.utime(entry, (1_000_000 + version * 1000, 1_000_000 + version * 1000))
    at = datetime.fromtimestamp(1_001_500, UTC)
    assert am.Table.open(table.url, version=at).version == 1


def test_reading_with_columns_filter_and_every_form(tmp_path):
    table = am.Table.create(tmp_path / "t", SCHEMA, partition_by=["name"])
    table.append(rows(1, 2, 3))
    assert table.to_arrow(["id"], filter=pc.field("id") > 1)["id"].to_pylist() == [2, 3]
    assert table.to_arrow(filter=[("name", "=", "row 2")])["id"].to_pylist() == [2]
    assert table.to_dataset([("name", "in", ["row 1", "row 3"])]).count_rows() == 2
    assert len(table.to_dataset([("name", "=", "row 1")]).files) == 1
    assert table.to_batches(["id"]).read_all().num_rows == 3
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 3
    assert pl.DataFrame(table).height == 3
    assert pa.table(table).num_rows == 3
    with pytest.raises(am.errors.InvalidFilter, match="nope"):
        table.to_arrow(filter=[("nope", "=", 1)])


def test_files_and_history_tell_what_is_there(table):
    table.append(rows(1), commit_info={"job": "nightly"})
    files = table.files()
    assert files.num_rows == 1
    assert files["size"][0].as_py() > 0
    newest, oldest = list(table.history())
    assert (newest.version, newest.operation) == (1, "WRITE")
    assert newest.fields["job"] == "nightly"
    assert (oldest.version, oldest.operation) == (0, "CREATE TABLE")
    assert len(list(table.history(limit=1))) == 1


def test_files_tell_what_is_asked_for(table):
    table.append(rows(1))
    table.append(rows(2))
    assert table.files(columns=["size", "path"]).column_names == ["size", "path"]
    assert table.files(columns=["path"]).equals(table.files().select(["path"]))
    assert table.files("id = 2", columns=["path"]).num_rows == 1
    assert table.files(pc.field("id") == 2, columns=["path"]).column_names == ["path"]
    with pytest.raises(am.errors.DataError, match="'nope'"):
        table.files(columns=["nope"])


def test_checkpoints_come_by_themselves_at_the_table_s_interval(tmp_path):
    table = am.Table.create(tmp_path / "t", SCHEMA, configuration={"delta.checkpointInterval": "4"})
    for number in range(9):
        table.append(rows(number))
    names = sorted(path.name for path in (tmp_path / "t" / "_delta_log").glob("*.parquet"))
    assert names == [f"{version:020}.checkpoint.parquet" for version in (4, 8)]
    assert ids(am.Table.open(table.url)) == list(range(9))
    for version in range(8):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    assert ids(am.Table.open(table.url)) == list(range(9))


def test_threads_share_one_handle(table):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda number: table.append(rows(number)), range(40)))
    versions = [result.version for result in results]
    assert set(versions) == set(range(1, table.version + 1))
    assert len({result.commit_id for result in results}) == 40
    assert ids(table) == list(range(40))
    for result in results:
        assert result.combined == (versions.count(result.version) > 1)
        assert table.resolve(result.commit_id).version == result.version


def test_repr_and_errors_hold_no_secret():
    with pytest.raises(am.AtomicManifestError) as caught:
        am.Table.open(
            "s3://bucket/path",
            storage_options={"key": "AKIAKEY", "secret": "hunter2", "no_such_option": "hunter2"},
        )
    assert "hunter2" not in str(caught.value)
    assert "no_such_option" in str(caught.value)


def test_of_sixteen_creators_at_once_one_creates(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    def create(number: int) -> bool:
        try:
            am.Table.create(tmp_path / "t", SCHEMA)
        except am.errors.TableAlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_sixteen_first_appends_at_once_are_all_there(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda n: am.append(tmp_path / "t", rows(n)), range(16)))
    assert 0 in {result.version for result in results}
    assert ids(am.Table.open(tmp_path / "t")) == list(range(16))


class CreatesFirst:
    """A driver in front of which somebody else creates the table just before version 0 is put."""

    def __init__(self, inner, act) -> None:
        self.inner = inner
        self.act = act

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def put(self, path, data, *, when=None, metadata=None):
        if path.endswith(f"{0:020}.json") and self.act is not None:
            act, self.act = self.act, None
            act()
        return self.inner.put(path, data, when=when, metadata=metadata)


def test_a_txn_of_the_commit_that_created_the_table_first_is_recognised(monkeypatch):
    import atomic_manifest.table as table_module

    url = "memory://created-first-with-txn"
    real = table_module.open_store

    def racing(url, options=None, **given):
        store = real(url, options, **given)
        act = lambda: monkeypatch.undo() or am.append(url, rows(1), txn=("job", 1))  # noqa: E731
        return am.store.ObjectStore(CreatesFirst(store.driver, act))

    monkeypatch.setattr(table_module, "open_store", racing)
    result = am.append(url, rows(1), txn=("job", 1))
    assert result.already_committed
    assert ids(am.Table.open(url)) == [1]
    assert not result.files
    assert am.Table.open(url).files().num_rows == sum(
        meta.path.endswith(".parquet") for meta in real(url).list()
    )


def test_refresh_of_a_handle_that_log_cleanup_has_overtaken_sees_the_latest(tmp_path, table_on):
    from atomic_manifest.testing import FakeEnv

    url = str(tmp_path / "t")
    table = am.Table.create(url, SCHEMA)
    env = FakeEnv()
    old = table_on(am.store.open_store(url).driver, env=env)
    for number in range(4):
        table.append(rows(number))
    table.checkpoint()
    for version in range(4):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    env.sleep(40 * 86400)
    assert ids(old.refresh()) == [0, 1, 2, 3]


def test_a_handle_that_log_cleanup_has_overtaken_does_not_commit_into_the_void(tmp_path, table_on):
    from atomic_manifest.testing import FakeEnv

    url = str(tmp_path / "t")
    table = am.Table.create(url, SCHEMA)
    env = FakeEnv()
    old = table_on(am.store.open_store(url).driver, env=env)
    for number in range(4):
        table.append(rows(number))
    table.checkpoint()
    for version in range(4):
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    env.sleep(40 * 86400)
    assert old.append(rows(9)).version == 5
    assert ids(am.Table.open(url)) == [0, 1, 2, 3, 9]


def test_a_handle_opened_at_an_old_version_commits_after_the_latest(table, tmp_path):
    for number in range(4):
        table.append(rows(number))
    table.checkpoint()
    old = am.Table.open(table.url, version=1)
    for version in range(
        4
    ):  # what came after its version is cleaned away: version 2 could be created
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    assert ids(old) == [0]
    assert old.append(rows(9)).version == 5
    assert ids(old) == ids(am.Table.open(table.url)) == [0, 1, 2, 3, 9]
