"""Input that is wrong gets an error that names the thing; nothing is written and nothing is lost."""

import json

import pyarrow as pa
import pytest

import atomic_manifest as am
from tests.table.conftest import SCHEMA, ids, rows


def snapshot_of(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path):
    am.append(tmp_path / "t", rows(1), partition_by=["name"])
    return tmp_path / "t"


BAD_DATA = {
    "missing non-null column": (pa.table({"name": ["x"]}), am.errors.SchemaMismatch, "id"),
    "missing partition column": (
        pa.table({"id": pa.array([1], pa.int64()), "nam": ["x"]}),
        am.errors.SchemaMismatch,
        "nam",
    ),
    "extra column": (
        pa.table({"id": [1], "name": ["x"], "surplus": [2]}),
        am.errors.SchemaMismatch,
        "surplus",
    ),
    "wrong type": (pa.table({"id": ["one"], "name": ["x"]}), am.errors.SchemaMismatch, "id"),
    "nulls in a non-null column": (
        pa.table({"id": pa.array([1, None], pa.int64()), "name": ["x", "y"]}),
        am.errors.NullsInColumn,
        "id",
    ),
    "no table at all": (42, am.errors.DataError, "int"),
}


@pytest.mark.parametrize(("data", "error", "named"), BAD_DATA.values(), ids=BAD_DATA)
def test_bad_data_is_refused_by_name_and_nothing_is_written(folder, data, error, named):
    before = snapshot_of(folder)
    with pytest.raises(error, match=named):
        am.Table.open(folder).append(data)
    assert snapshot_of(folder) == before


def test_a_stream_that_fails_half_way_leaves_nothing(folder):
    def batches():
        yield rows(2).to_batches()[0]
        raise RuntimeError("the source broke")

    before = snapshot_of(folder)
    reader = pa.RecordBatchReader.from_batches(SCHEMA, batches())
    with pytest.raises(RuntimeError, match="the source broke"):
        am.Table.open(folder).append(reader)
    assert snapshot_of(folder) == before


def test_nulls_late_in_a_stream_leave_nothing(folder):
    nullable = pa.schema([("id", pa.int64()), ("name", pa.string())])
    good = pa.table({"id": [2], "name": ["a"]}, schema=nullable)
    bad = pa.table({"id": pa.array([None], pa.int64()), "name": ["b"]}, schema=nullable)
    before = snapshot_of(folder)
    with pytest.raises(am.errors.NullsInColumn, match="id"):
        am.Table.open(folder).append([good, bad])
    assert snapshot_of(folder) == before


@pytest.mark.parametrize("txn", [("app",), ("app", "1"), ("", 1), ("app", True), "app", 7])
def test_a_malformed_txn_is_refused(folder, txn):
    with pytest.raises(am.errors.DataError, match="txn"):
        am.Table.open(folder).append(rows(2), txn=txn)


@pytest.mark.parametrize(
    ("schema", "partition_by", "named"),
    [
        (pa.schema([("a", pa.int64()), ("A", pa.int64())]), [], "A"),
        (pa.schema([("a", pa.duration("s"))]), [], "a"),
        (pa.schema([("a", pa.int64())]), ["b"], "b"),
        (pa.schema([("a", pa.int64())]), ["a"], "a"),
    ],
)
def test_a_schema_that_no_table_can_have_is_refused(tmp_path, schema, partition_by, named):
    with pytest.raises(am.errors.InvalidSchema, match=named):
        am.Table.create(tmp_path / "t", schema, partition_by=partition_by)
    assert not (tmp_path / "t").exists()


def test_a_property_that_needs_a_feature_we_lack_is_refused_by_name(tmp_path):
    with pytest.raises(am.errors.UnsupportedTableFeature, match="deletionVectors"):
        am.Table.create(
            tmp_path / "t", SCHEMA, configuration={"delta.enableDeletionVectors": "true"}
        )
    assert not (tmp_path / "t").exists()


def entry(folder, version):
    return folder / "_delta_log" / f"{version:020}.json"


def test_a_table_with_an_unknown_reader_feature_is_refused_by_name(folder):
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["futureFeature"],
        "writerFeatures": ["futureFeature"],
    }
    entry(folder, 1).write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(am.errors.UnsupportedTableFeature, match="futureFeature"):
        am.Table.open(folder)


def test_a_table_with_an_unknown_writer_feature_is_read_but_not_written(folder):
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["futureFeature"]}
    entry(folder, 1).write_text(json.dumps({"protocol": protocol}) + "\n")
    table = am.Table.open(folder)
    assert ids(table) == [1]
    before = snapshot_of(folder)
    with pytest.raises(am.errors.UnsupportedTableFeature, match="futureFeature"):
        table.append(rows(2))
    assert snapshot_of(folder) == before


def test_a_feature_that_a_winner_turns_on_refuses_the_commit_and_its_files_go(folder):
    table = am.Table.open(folder)
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["futureFeature"]}
    entry(folder, 1).write_text(json.dumps({"protocol": protocol}) + "\n")
    before = snapshot_of(folder)
    with pytest.raises(am.errors.UnsupportedTableFeature, match="futureFeature"):
        table.append(rows(2))
    assert snapshot_of(folder) == before


def test_a_corrupt_entry_is_named_and_stops_writers(folder):
    table = am.Table.open(folder)
    entry(folder, 1).write_text('{"add": 3}\n')
    before = snapshot_of(folder)
    with pytest.raises(am.errors.CorruptLog, match="00001.json: line 1"):
        am.Table.open(folder)
    with pytest.raises(am.errors.CorruptLog, match="00001.json: line 1"):
        table.append(rows(2))
    assert snapshot_of(folder) == before


def test_a_missing_entry_is_named(folder):
    for number in range(2, 5):
        am.append(folder, rows(number))
    entry(folder, 2).unlink()
    with pytest.raises(am.errors.CorruptLog, match="00002.json"):
        am.Table.open(folder)


@pytest.mark.parametrize(
    "path",
    ["../outside.parquet", "/etc/passwd", "s3://elsewhere/x.parquet", "a/../../x", "%2e%2e/x"],
)
def test_a_path_that_leaves_the_table_is_refused_by_name(folder, path):
    add = {
        "path": path,
        "partitionValues": {"name": None},
        "size": 1,
        "modificationTime": 1,
        "dataChange": True,
    }
    entry(folder, 1).write_text(json.dumps({"add": add}) + "\n")
    with pytest.raises(am.errors.CorruptLog) as caught:
        am.Table.open(folder).to_arrow()
    assert path in str(caught.value)


def test_an_empty_entry_is_damage_and_not_an_empty_commit(folder):
    entry(folder, 1).write_text("")
    with pytest.raises(am.errors.CorruptLog, match="00001.json: the file is empty"):
        am.Table.open(folder)
