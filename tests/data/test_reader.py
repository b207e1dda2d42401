import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from atomic_manifest.data.read.reader import to_dataset
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.writer import write_files
from atomic_manifest.errors import CorruptLog, InvalidFilter
from atomic_manifest.log.actions import Add, DeletionVector
from atomic_manifest.log.metadata.schema import canonical
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver
from atomic_manifest.testing.env import FakeEnv

UTC = pa.timestamp("us", "UTC")
SCHEMA = canonical(
    pa.schema(
        [
            ("id", pa.int64()),
            ("day", pa.date32()),
            ("s", pa.string()),
            ("t", UTC),
            ("region", pa.string()),
            ("void", pa.null()),
            ("tags", pa.list_(pa.string())),
            ("st", pa.struct([("a", pa.int32()), ("b", pa.list_(pa.int8()))])),
            ("m", pa.map_(pa.string(), pa.float32())),
            ("dec", pa.decimal128(9, 2)),
        ]
    )
)
DAYS = [dt.date(2026, 1, 1), dt.date(2026, 1, 2), None]
ROWS = [
    {
        "id": number,
        "day": DAYS[number % 3],
        "s": f"s{number}" if number % 4 else None,
        "t": dt.datetime(2026, 1, 1, number % 24, tzinfo=dt.UTC),
        "region": ["a b/%", "é"][number % 2],
        "void": None,
        "tags": ["x", None],
        "st": {"a": number, "b": [1]},
        "m": [("k", 0.5)],
        "dec": Decimal(number) / 4,
    }
    for number in range(48)
]
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)
PARTITION_BY = ("day", "region")

Commit = Callable[..., Snapshot]


def stage(store: ObjectStore, table: pa.Table, by: tuple[str, ...] = ()) -> tuple[Add, ...]:
    return write_files(
        store,
        table.to_reader(),
        schema=table.schema,
        partition_by=by,
        file_prefix="x",
        options=WriteOptions(),
        env=FakeEnv(),
    ).adds


@pytest.fixture(params=["memory", "local"])
def any_store(request: pytest.FixtureRequest, tmp_path, store: ObjectStore) -> ObjectStore:
    return store if request.param == "memory" else ObjectStore(LocalDriver(tmp_path / "t b%l"))


@pytest.fixture
def dataset(any_store: ObjectStore, commit: Commit) -> ds.Dataset:
    adds = stage(any_store, TABLE, PARTITION_BY)
    return to_dataset(any_store, commit(any_store, SCHEMA, adds, partition_by=PARTITION_BY))


def ids(table: pa.Table) -> list[int]:
    return sorted(table["id"].to_pylist())


def test_rows_types_and_order_of_columns_come_back(dataset: ds.Dataset) -> None:
    table = dataset.to_table()
    assert table.schema.equals(SCHEMA)
    assert dataset.schema.equals(SCHEMA)
    assert table.sort_by("id").to_pylist() == TABLE.to_pylist()
    assert dataset.count_rows() == 48


def test_columns_can_be_chosen_with_partition_columns_and_void_among_them(
    dataset: ds.Dataset,
) -> None:
    table = dataset.to_table(columns=["void", "region", "id"])
    assert table.column_names == ["void", "region", "id"]
    assert sorted(table["region"].to_pylist()) == sorted(row["region"] for row in ROWS)
    assert dataset.to_table(columns=["day"]).num_rows == 48


FILTERS = {
    "partition": pc.field("region") == "é",
    "null partition": pc.field("day").is_null(),
    "partition range": pc.field("day") > dt.date(2026, 1, 1),
    "row": pc.field("id") < 10,
    "both": (pc.field("day") == dt.date(2026, 1, 2)) & (pc.field("id") < 20),
    "void": pc.field("void").is_null(),
    "timestamp": pc.field("t") >= dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_give_exactly_their_rows_at_scan_and_at_construction(
    name: str, any_store: ObjectStore, commit: Commit
) -> None:
    adds = stage(any_store, TABLE, PARTITION_BY)
    snapshot = commit(any_store, SCHEMA, adds, partition_by=PARTITION_BY)
    wanted = ids(TABLE.filter(FILTERS[name]))
    assert ids(to_dataset(any_store, snapshot).to_table(filter=FILTERS[name])) == wanted
    filtered = to_dataset(any_store, snapshot, filter=FILTERS[name])
    assert ids(filtered.to_table()) == wanted
    assert ids(filtered.to_table(filter=pc.field("id") > 5)) == [i for i in wanted if i > 5]


def test_excluded_partitions_are_left_out_of_the_files(store: ObjectStore, commit: Commit) -> None:
    adds = stage(store, TABLE, PARTITION_BY)
    snapshot = commit(store, SCHEMA, adds, partition_by=PARTITION_BY)
    assert len(to_dataset(store, snapshot).files) == 6
    one = to_dataset(store, snapshot, filter=[("day", "=", DAYS[0]), ("region", "=", "é")])
    assert len(one.files) == 1
    assert len(to_dataset(store, snapshot, filter=pc.field("day").is_null()).files) == 2
    none = to_dataset(store, snapshot, filter=pc.field("region") == "nowhere")
    assert none.files == []
    assert none.to_table().schema.equals(SCHEMA)


def test_duckdb_and_polars_scan_with_filters(dataset: ds.Dataset) -> None:
    base = dataset
    columns = base.to_table(columns=["id", "day", "s", "t", "region", "dec"]).schema.names
    relation = duckdb.from_arrow(base)
    found = relation.filter("region = 'é' and id < 20 and day = date '2026-01-02'").project("id")
    wanted = ids(
        TABLE.filter(
            (pc.field("region") == "é") & (pc.field("id") < 20) & (pc.field("day") == DAYS[1])
        )
    )
    assert sorted(row[0] for row in found.fetchall()) == wanted
    frame = (
        pl.scan_pyarrow_dataset(base)
        .select(columns)
        .filter((pl.col("region") == "é") & (pl.col("id") < 20) & (pl.col("day") == DAYS[1]))
        .collect()
    )
    assert sorted(frame["id"].to_list()) == wanted
    nulls = pl.scan_pyarrow_dataset(base).filter(pl.col("day").is_null()).select("id").collect()
    assert sorted(nulls["id"].to_list()) == ids(TABLE.filter(pc.field("day").is_null()))


def test_making_the_dataset_reads_no_data_file(
    store: ObjectStore, driver: CountingDriver, commit: Commit
) -> None:
    adds = stage(store, TABLE, PARTITION_BY)
    snapshot = commit(store, SCHEMA, adds, partition_by=PARTITION_BY)
    snapshot.files()
    driver.clear()
    dataset = to_dataset(store, snapshot, filter=pc.field("day").is_null())
    assert driver.requests == ()
    dataset.to_table()
    assert {request.path for request in driver.requests} == set(dataset.files)
    assert [request.method for request in driver.requests] == ["get", "get"]


def test_files_are_in_the_order_of_the_log(store: ObjectStore, commit: Commit) -> None:
    adds = stage(store, TABLE, PARTITION_BY)
    snapshot = commit(store, SCHEMA, adds, partition_by=PARTITION_BY)
    order = snapshot.files()["path"].to_pylist()
    from atomic_manifest.log.path import decode

    assert to_dataset(store, snapshot).files == [decode(path) for path in order]
    kept = to_dataset(store, snapshot, filter=pc.field("region") == "é").files
    assert kept == [decode(path) for path in order if decode(path) in kept]
    assert len(kept) == 3


def test_an_empty_table_has_its_schema_and_no_rows(store: ObjectStore, commit: Commit) -> None:
    for by in ((), PARTITION_BY):
        snapshot = commit(store, SCHEMA, (), partition_by=by)
        table = to_dataset(store, snapshot, filter=pc.field("id") > 0).to_table()
        assert table.schema.equals(SCHEMA)
        assert table.num_rows == 0


# --- files of other writers ----------------------------------------------------------------------


def foreign(store: ObjectStore, path: str, table: pa.Table, **options: object) -> Add:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    data = sink.getvalue().to_pybytes()
    store.put(path, data)
    return Add(path, {}, len(data), 0, data_change=True)


def test_columns_that_older_files_lack_read_as_null(store: ObjectStore, commit: Commit) -> None:
    old = foreign(store, "old", pa.table({"id": [1], "st": pa.array([{"a": 1}])}))
    table = to_dataset(store, commit(store, SCHEMA, (old,))).to_table()
    assert table.schema.equals(SCHEMA)
    (row,) = table.to_pylist()
    assert row["id"] == 1
    assert row["st"] == {"a": 1, "b": None}
    assert row["s"] is None
    assert row["m"] is None


@pytest.mark.parametrize(
    ("column", "array", "options"),
    [
        ("s", pa.array(["x"], pa.large_string()), {}),
        ("s", pa.array(["x"], pa.string_view()), {}),
        ("s", pa.array(["x"]).dictionary_encode(), {}),
        ("id", pa.array([7], pa.int32()), {}),
        ("tags", pa.array([["x"]], pa.large_list(pa.large_string())), {}),
        ("t", pa.array([86_400_000_000], UTC), {"use_deprecated_int96_timestamps": True}),
        (
            "t",
            pa.array([253_402_300_799_000_000], UTC),
            {"use_deprecated_int96_timestamps": True, "store_schema": False},
        ),
        ("t", pa.array([1_000], pa.timestamp("ns", "UTC")), {}),
    ],
    ids=["large", "view", "categorical", "narrow", "large list", "int96", "int96 year 9999", "ns"],
)
def test_layouts_of_other_writers_read_as_the_tables_types(
    column: str, array: pa.Array, options: dict, store: ObjectStore, commit: Commit
) -> None:
    add = foreign(store, "x", pa.table({column: array}), **options)
    table = to_dataset(store, commit(store, SCHEMA, (add,))).to_table()
    assert table.schema.equals(SCHEMA)
    wanted = array.cast(SCHEMA.field(column).type)
    assert table[column].combine_chunks().equals(wanted)


def test_partition_values_absent_from_the_log_are_null(store: ObjectStore, commit: Commit) -> None:
    add = foreign(store, "x", pa.table({"id": [1]}))
    snapshot = commit(store, SCHEMA, (add,), partition_by=("region",))
    assert to_dataset(store, snapshot).to_table()["region"].to_pylist() == [None]


@pytest.mark.parametrize("path", ["/etc/x", "s3://other/x", "../x", "a/../../x", "%2e%2e/x"])
def test_a_path_that_leaves_the_table_is_refused(
    path: str, store: ObjectStore, commit: Commit
) -> None:
    add = Add(path, {}, 1, 0, data_change=True)
    with pytest.raises(CorruptLog, match="path"):
        to_dataset(store, commit(store, SCHEMA, (add,)))


def test_a_partition_value_of_another_type_is_refused_by_column(
    store: ObjectStore, commit: Commit
) -> None:
    add = Add("x", {"day": "yesterday"}, 1, 0, data_change=True)
    with pytest.raises(CorruptLog, match=r"'day'.*yesterday"):
        to_dataset(store, commit(store, SCHEMA, (add,), partition_by=("day",)))


def test_a_file_with_a_deletion_vector_is_not_read_as_if_it_had_none(
    store: ObjectStore, commit: Commit
) -> None:
    vector = DeletionVector("u", "ab^-aqEH.-t@S}K{vb[*k^", 40, 6, 4)
    add = replace(foreign(store, "x", pa.table({"id": [1]})), deletion_vector=vector)
    with pytest.raises(CorruptLog, match=r"ab/deletion_vector_.*missing"):
        to_dataset(store, commit(store, SCHEMA, (add,))).to_table()


def test_a_filter_on_an_unknown_column_is_refused(store: ObjectStore, commit: Commit) -> None:
    with pytest.raises(InvalidFilter, match="'nope'"):
        to_dataset(store, commit(store, SCHEMA, ()), filter=pc.field("nope") > 1)
