"""Deleted rows are in no answer, whichever way a table is read or written."""

import json

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

import atomic_manifest as am
from atomic_manifest.errors import AtomicManifestError, CorruptLog
from tests.conformance.conftest import HandMade, column, framed, inline, z85

DATA = pa.table({"id": pa.array(range(1000), pa.int64()), "s": [f"s{i % 7}" for i in range(1000)]})
FIELDS = [column("id", "long"), column("s", "string")]
DELETED = [0, 99, 100, 101, 555, *range(700, 800), 999]
LEFT = [number for number in range(1000) if number not in set(DELETED)]
OTHERS = list(range(5000, 5010))
PLAIN = pa.table({"id": pa.array(OTHERS, pa.int64()), "s": ["other"] * 10})


def ids(table):
    return sorted(table["id"].to_pylist())


def rows_of(reader):
    return sorted(row[0] for row in reader)


@pytest.fixture(params=["file", "file with prefix", "inline", "absolute"])
def descriptor(request, made: HandMade):
    if request.param == "inline":
        return inline(DELETED)
    if request.param == "absolute":
        _, vector = made.vectors([1], DELETED)
        (path,) = made.root.glob("deletion_vector_*")
        return vector | {"storageType": "p", "pathOrInlineDv": path.as_uri()}
    return made.vectors([5], DELETED, prefix="ab" if "prefix" in request.param else "")[1]


@pytest.fixture
def table(made: HandMade, descriptor) -> am.Table:
    """A file of three row groups with deleted rows, and one without."""
    made.create(FIELDS, features=["deletionVectors"], delta__enableDeletionVectors="true")
    made.commit(made.file(DATA, vector=descriptor, row_group_size=400), made.file(PLAIN))
    return made.open()


def test_every_way_to_read_leaves_the_deleted_rows_out(table):
    wanted = sorted(LEFT + OTHERS)
    assert ids(table.to_arrow()) == wanted
    assert ids(table.to_batches().read_all()) == wanted
    assert ids(table.to_dataset().to_table()) == wanted
    assert table.to_dataset().count_rows() == len(wanted)
    assert sorted(table.to_pandas()["id"]) == wanted
    assert ids(pa.table(table)) == wanted
    assert sorted(pl.DataFrame(table)["id"]) == wanted
    with table.transaction() as transaction:
        assert ids(transaction.read()) == wanted


FILTERS = {
    "group boundary": (pc.field("id") >= 399) & (pc.field("id") < 401),
    "second group": (pc.field("id") > 500) & (pc.field("id") < 720),
    "only deleted": (pc.field("id") >= 700) & (pc.field("id") < 800),
    "other column": pc.field("s") == "s3",
    "other file": pc.field("s") == "other",
    "last": pc.field("id") >= 990,
    "nothing": pc.field("id") < 0,
}


@pytest.mark.parametrize("name", FILTERS)
def test_positions_are_of_the_physical_file_whatever_the_filter(table, name):
    everything = pa.concat_tables([DATA.take(LEFT), PLAIN])
    wanted = ids(everything.filter(FILTERS[name]))
    assert ids(table.to_arrow(filter=FILTERS[name])) == wanted
    assert ids(table.to_dataset(FILTERS[name]).to_table()) == wanted
    assert ids(table.to_dataset().to_table(filter=FILTERS[name])) == wanted
    assert ids(table.to_dataset().filter(FILTERS[name]).to_table(["id"])) == wanted
    assert table.to_dataset(FILTERS[name]).count_rows() == len(wanted)
    assert table.to_arrow(["s"], filter=FILTERS[name]).num_rows == len(wanted)


def test_other_engines_scan_the_dataset(table):
    base = table.to_dataset()
    found = duckdb.sql("select id from base where id < 200 and s != 's3'").fetchall()
    wanted = [number for number in LEFT if number < 200 and number % 7 != 3]
    assert rows_of(found) == wanted
    assert duckdb.sql("select count(*) from base").fetchall() == [(len(LEFT) + 10,)]
    lazy = pl.scan_pyarrow_dataset(base).filter((pl.col("id") < 200) & (pl.col("s") != "s3"))
    assert sorted(lazy.select("id").collect()["id"]) == wanted


def test_the_dataset_is_a_dataset(table):
    base = table.to_dataset()
    assert isinstance(base, ds.Dataset)
    assert base.schema.equals(table.schema)
    assert base.head(3, columns=["id"]).num_rows == 3
    assert base.scanner(columns={"twice": pc.field("id") * 2}).to_table().num_rows == len(LEFT) + 10
    assert base.take([0, 5]).num_rows == 2
    assert base.to_table(columns=["s", "id"]).column_names == ["s", "id"]
    assert sum(batch.num_rows for batch in base.to_batches()) == len(LEFT) + 10
    empty = base.to_table(columns=[])
    assert empty.num_columns == 0


@pytest.mark.parametrize(
    "look_behind",
    [
        lambda base: base.sort_by("id").to_table(),
        lambda base: [list(fragment.to_batches()) for fragment in base.get_fragments()],
        lambda base: ds.Scanner.from_dataset(base).to_table(),
        lambda base: base.replace_schema(base.schema).to_table(),
        lambda base: ds.dataset([base]).to_table(),
    ],
    ids=["sort", "fragments", "scanner", "schema", "union"],
)
def test_what_looks_for_the_files_behind_the_dataset_gets_an_error(table, look_behind):
    with pytest.raises(AtomicManifestError, match="deletion vectors"):
        look_behind(table.to_dataset())


def test_batches_stream_row_group_by_row_group(made):
    made.create(FIELDS, features=["deletionVectors"])
    made.commit(made.file(DATA, vector=inline(DELETED), row_group_size=100))
    batches = list(made.open().to_batches(["id"]))
    assert max(batch.num_rows for batch in batches) <= 100
    assert sum(batch.num_rows for batch in batches) == len(LEFT)


def test_a_vector_over_many_batches_of_one_row_group(made):
    rows = 200_000
    data = pa.table({"id": pa.array(range(rows), pa.int64())})
    deleted = [*range(0, rows, 3), rows - 1]
    made.create([column("id", "long")], features=["deletionVectors"])
    made.commit(made.file(data, vector=inline(deleted), row_group_size=rows))
    wanted = sorted(set(range(rows)) - set(deleted))
    assert made.open().to_arrow()["id"].to_pylist() == wanted


def test_columns_the_file_lacks_and_partitions_have_the_rows_that_are_left(made):
    fields = [column("id", "long"), column("new", "string"), column("p", "date")]
    made.create(fields, features=["deletionVectors"], partition_by=["p"])
    add = made.file(DATA.select(["id"]), vector=inline(DELETED), partition={"p": "2026-01-01"})
    made.commit(add, made.file(PLAIN.select(["id"]), partition={"p": None}))
    table = made.open()
    assert table.to_arrow(["new"])["new"].null_count == len(LEFT) + 10
    assert table.to_arrow(["p"], filter="p = '2026-01-01'").num_rows == len(LEFT)
    assert ids(table.to_arrow(filter="p is null")) == OTHERS


def test_all_rows_deleted_leaves_none(made):
    made.create(FIELDS, features=["deletionVectors"])
    made.commit(made.file(DATA, vector=inline(range(1000))))
    table = made.open()
    assert table.to_arrow().num_rows == 0
    assert table.to_arrow().schema.equals(table.schema)


def test_a_later_vector_replaces_the_earlier(made):
    made.create(FIELDS, features=["deletionVectors"])
    first = made.file(DATA, vector=inline([1, 2, 3]))
    made.commit(first)
    removed = {key: first["add"][key] for key in ("path", "dataChange", "deletionVector")}
    later = {**first["add"], "deletionVector": inline([1, 2, 3, 4, 5])}
    made.commit({"remove": removed | {"deletionTimestamp": 1}}, {"add": later})
    assert ids(made.open().to_arrow()) == [0, *range(6, 1000)]
    assert made.open().files().num_rows == 1


# --- damage --------------------------------------------------------------------------------------


def test_a_damaged_vector_is_an_error_before_a_row_of_its_file_is_given(made):
    made.create(FIELDS, features=["deletionVectors"])
    (vector,) = made.vectors(DELETED)
    made.commit(made.file(DATA, vector=vector))
    (path,) = made.root.glob("deletion_vector_*")
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptLog, match=path.name):
        made.open().to_arrow()
    path.unlink()
    with pytest.raises(CorruptLog, match=f"{path.name}.*missing"):
        made.open().to_arrow(["id"], filter="id = 1")


def test_a_vector_of_a_longer_file_is_an_error(made):
    made.create(FIELDS, features=["deletionVectors"])
    made.commit(made.file(DATA, vector=inline([1000])))
    with pytest.raises(CorruptLog, match="deletes row 1000"):
        made.open().to_arrow()


def test_an_unknown_bitmap_format_is_an_error(made):
    data = (1681511378).to_bytes(4, "little") + bytes(8)
    assert framed(data)
    vector = {
        "storageType": "i",
        "pathOrInlineDv": z85(data),
        "sizeInBytes": len(data),
        "cardinality": 0,
    }
    made.create(FIELDS, features=["deletionVectors"])
    made.commit(made.file(DATA, vector=vector))
    with pytest.raises(CorruptLog, match="magic number"):
        made.open().to_arrow()


# --- writing -------------------------------------------------------------------------------------


def last_entry(made):
    version = made.open().version
    text = (made.root / "_delta_log" / f"{version:020}.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_an_append_leaves_the_vectors_alone(table):
    table.append(pa.table({"id": pa.array([-1], pa.int64()), "s": ["new"]}))
    assert ids(table.to_arrow()) == sorted([-1, *LEFT, *OTHERS])


def test_a_delete_writes_what_is_left_and_removes_the_file_with_its_vector(table, made, descriptor):
    # 102 to 109 were there, 100 and 101 deleted before.
    result = table.delete("id >= 100 and id < 110")
    assert ids(table.to_arrow()) == sorted([n for n in LEFT if not 100 <= n < 110] + OTHERS)
    actions = last_entry(made)
    (removed,) = [action["remove"] for action in actions if "remove" in action]
    (added,) = [action["add"] for action in actions if "add" in action]
    assert removed["deletionVector"] == descriptor
    assert "deletionVector" not in added
    assert json.loads(added["stats"])["numRecords"] == len(LEFT) - 8
    assert result.version == 2
    assert ids(made.open().to_arrow()) == ids(table.to_arrow())


def test_deleting_rows_that_are_deleted_changes_nothing(table):
    version = table.version
    table.delete("id >= 700 and id < 800")
    assert table.version == version
    assert ids(table.to_arrow()) == sorted(LEFT + OTHERS)


def test_a_file_that_goes_whole_counts_only_the_rows_it_had_left(made):
    made.create(FIELDS, features=["deletionVectors"])
    stats = {"minValues": {"id": 0}, "maxValues": {"id": 999}, "nullCount": {"id": 0, "s": 0}}
    made.commit(made.file(DATA, vector=inline(DELETED), stats={**stats, "tightBounds": False}))
    table = made.open()
    with table.transaction() as transaction:
        assert transaction.delete("id >= 0") == len(LEFT)
    assert table.to_arrow().num_rows == 0


def test_overwrites_replace_files_with_vectors(table):
    new = pa.table({"id": pa.array([102], pa.int64()), "s": ["new"]})
    table.overwrite(new, where="id >= 102 and id < 600")
    left = [n for n in LEFT if not 102 <= n < 600]
    assert ids(table.to_arrow()) == sorted([*left, 102, *OTHERS])
    table.overwrite(new)
    assert table.to_arrow().to_pylist() == new.to_pylist()


@pytest.mark.interop
def test_what_we_wrote_is_what_another_engine_reads(table, made):
    from tests.interop.conftest import read_duckdb

    table.delete("id < 50")
    table.append(PLAIN)
    assert ids(read_duckdb(str(made.root))) == ids(table.to_arrow())
