"""Files whose types are not the table's: widened since, or written otherwise by other engines."""

import datetime as dt
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from atomic_manifest.errors import AtomicManifestError, UnsupportedTableFeature
from tests.conformance.conftest import HandMade, column, inline

WIDENED = {
    "byte to short": ("byte", pa.int8(), "short", [-128, 5, None], 6),
    "short to integer": ("short", pa.int16(), "integer", [-32768, 5, None], 6),
    "integer to long": ("integer", pa.int32(), "long", [-(2**31), 5, None], 2**40),
    "byte to long": ("byte", pa.int8(), "long", [127, 5, None], 2**40),
    "float to double": ("float", pa.float32(), "double", [1.5, -0.25, None], 0.1),
    "integer to double": ("integer", pa.int32(), "double", [2**31 - 1, 5, None], 5.5),
    "date to timestamp_ntz": (
        "date",
        pa.date32(),
        "timestamp_ntz",
        [dt.date(1969, 7, 20), dt.date(2026, 1, 1), None],
        dt.datetime(2026, 1, 1, 12),
    ),
    "decimal": (
        "decimal(5,2)",
        pa.decimal128(5, 2),
        "decimal(10,4)",
        [Decimal("1.25"), Decimal("-999.99"), None],
        Decimal("1.2501"),
    ),
    "integer to decimal": (
        "integer",
        pa.int32(),
        "decimal(12,2)",
        [-(2**31), 5, None],
        Decimal("5.01"),
    ),
    "long to decimal": (
        "long",
        pa.int64(),
        "decimal(22,2)",
        [2**63 - 1, 5, None],
        Decimal("5.01"),
    ),
}


def widened(value, to):
    if value is None:
        return None
    if to == "timestamp_ntz":
        return dt.datetime.combine(value, dt.time())
    return Decimal(value) if to.startswith("decimal") else value


@pytest.mark.parametrize("deleted", [False, True], ids=["whole", "deleted rows"])
@pytest.mark.parametrize("name", WIDENED)
def test_values_written_before_a_type_was_widened(made: HandMade, name, deleted):
    before, narrow, after, values, new = WIDENED[name]
    changes = [{"fromType": before, "toType": after}]
    made.create(
        [
            column("x", after, delta__typeChanges=changes),
            column("s", {"type": "struct", "fields": [column("y", after)]}),
            column("l", {"type": "array", "elementType": after, "containsNull": True}),
        ],
        features=["typeWidening", "timestampNtz", "deletionVectors"],
        delta__enableTypeWidening="true",
    )
    old = pa.table(
        {
            "x": pa.array(values, narrow),
            "s": pa.array([{"y": v} for v in values], pa.struct([("y", narrow)])),
            "l": pa.array([[v] for v in values], pa.list_(narrow)),
        }
    )
    made.commit(made.file(old, vector=inline([2]) if deleted else None))
    table = made.open()
    table.append(pa.Table.from_pylist([{"x": new, "s": {"y": new}, "l": [new]}], table.schema))
    wanted = [widened(v, after) for v in (values[:2] if deleted else values)] + [new]
    found = table.to_arrow()
    assert found.schema.equals(table.schema)
    assert sorted(found["x"].to_pylist(), key=repr) == sorted(wanted, key=repr)
    assert sorted((r["y"] for r in found["s"].to_pylist()), key=repr) == sorted(wanted, key=repr)
    assert sorted((r[0] for r in found["l"].to_pylist()), key=repr) == sorted(wanted, key=repr)
    type_ = table.schema.field("x").type
    limit = pa.scalar(new, type_)
    present = [v for v in wanted if v is not None]
    for expression, kept in (
        (pc.field("x") < limit, [v for v in present if v < new]),
        (pc.field("x") >= limit, [v for v in present if v >= new]),
        (pc.field("x").isin(pa.array(wanted[:1], type_)), wanted[:1]),
    ):
        rows = table.to_arrow(["x"], filter=expression)["x"].to_pylist()
        assert sorted(rows) == sorted(kept), expression


@pytest.mark.parametrize("mapped", [False, True], ids=["plain", "mapped columns"])
def test_statistics_of_floats_do_not_bound_the_doubles_they_have_become(made: HandMade, mapped):
    # As a float 1.1 is 1.10000002384: greater than the maximum that its file's statistics tell.
    mapping = {
        "delta__columnMapping__id": 1,
        "delta__columnMapping__physicalName": "x",
    }
    changes = [{"fromType": "float", "toType": "double"}]
    made.create(
        [column("x", "double", delta__typeChanges=changes, **(mapping if mapped else {}))],
        features=["typeWidening", "columnMapping"],
        **({"delta__columnMapping__mode": "name"} if mapped else {}),
    )
    stats = {"minValues": {"x": 1.1}, "maxValues": {"x": 1.1}, "nullCount": {"x": 0}}
    made.commit(made.file(pa.table({"x": pa.array([1.1], pa.float32())}), stats=stats))
    table = made.open()
    with table.transaction() as transaction:
        assert transaction.read(filter="x > 1.1").num_rows == 1
        assert transaction.read(filter="x = 1.1").num_rows == 0
    assert table.to_arrow(filter="x > 1.1").num_rows == 1
    table.delete("x = 1.1")
    assert table.to_arrow().num_rows == 1
    table.delete("x > 1.1")
    assert table.to_arrow().num_rows == 0


def test_partition_values_written_before_a_type_was_widened(made: HandMade):
    made.create(
        [column("x", "long"), column("p", "double"), column("q", "timestamp_ntz")],
        features=["typeWidening", "timestampNtz"],
        partition_by=["p", "q"],
    )
    data = pa.table({"x": pa.array([1], pa.int64())})
    made.commit(made.file(data, partition={"p": "7", "q": "2026-01-01"}))
    (row,) = made.open().to_arrow().to_pylist()
    assert row == {"x": 1, "p": 7.0, "q": dt.datetime(2026, 1, 1)}


UTC = pa.timestamp("us", "UTC")
MOMENT = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
FAR = dt.datetime(9999, 12, 31, 23, 59, 59, 123456, tzinfo=dt.UTC)
LAYOUTS = {
    "INT96": ("timestamp", pa.array([MOMENT, FAR], UTC), {"use_deprecated_int96_timestamps": True}),
    "milliseconds": (
        "timestamp",
        pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], pa.timestamp("ms", "UTC")),
        {},
    ),
    "instants without a zone": (
        "timestamp",
        pa.array([dt.datetime(2026, 1, 1)], "timestamp[us]"),
        {},
    ),
    "zone": (
        "timestamp",
        pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo")),
        {"store_schema": True},
    ),
    "local INT96": (
        "timestamp_ntz",
        pa.array([dt.datetime(1500, 1, 1)], pa.timestamp("us")),
        {"use_deprecated_int96_timestamps": True},
    ),
    "small decimal": (
        "decimal(9,2)",
        pa.array([Decimal("-1.25")], pa.decimal128(9, 2)),
        {"store_decimal_as_integer": True},
    ),
    "large decimal": ("decimal(38,18)", pa.array([Decimal("1e-18")], pa.decimal128(38, 18)), {}),
    "text without a mark": ("string", pa.array(["é".encode()], pa.binary()), {}),
    "categories": ("string", pa.array(["a", "b", "a"]).dictionary_encode(), {}),
    "2-level list": (
        {"type": "array", "elementType": "integer", "containsNull": True},
        pa.array([[1, 2], []], pa.list_(pa.int32())),
        {"use_compliant_nested_type": False},
    ),
}


@pytest.mark.parametrize("deleted", [False, True], ids=["whole", "deleted rows"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_other_writers(made: HandMade, name, deleted):
    type_, array, options = LAYOUTS[name]
    made.create([column("x", type_)], features=["timestampNtz", "deletionVectors"])
    data = pa.table({"x": array})
    made.commit(made.file(data, vector=inline([0]) if deleted else None, **options))
    table = made.open()
    wanted = array.cast(table.schema.field("x").type).slice(int(deleted))
    assert table.to_arrow()["x"].to_pylist() == wanted.to_pylist()
    assert table.to_arrow().schema.equals(table.schema)


def test_an_unshredded_variant_reads_as_its_two_binaries(made: HandMade):
    made.create([column("id", "long"), column("v", "variant")], features=["variantType"])
    stored = pa.struct([("value", pa.binary()), ("metadata", pa.binary())])
    values = [{"value": b"\x0c\x07", "metadata": b"\x01\x00\x00"}, None]
    made.commit(made.file(pa.table({"id": [1, 2], "v": pa.array(values, stored)})))
    table = made.open()
    assert table.to_arrow()["v"].to_pylist() == values
    with pytest.raises(UnsupportedTableFeature, match="variantType"):
        table.append(table.to_arrow())


def test_a_shredded_variant_is_refused_and_never_read_as_null(made: HandMade):
    made.create([column("v", "variant")], features=["variantType"])
    stored = pa.struct(
        [("value", pa.binary()), ("metadata", pa.binary()), ("typed_value", pa.int64())]
    )
    values = [{"value": None, "metadata": b"\x01\x00\x00", "typed_value": 7}]
    made.commit(made.file(pa.table({"v": pa.array(values, stored)})))
    with pytest.raises(UnsupportedTableFeature) as caught:
        made.open().to_arrow()
    assert caught.value.names == ("variantShredding",)


def test_void_columns_and_columns_no_file_has_are_null(made: HandMade):
    made.create([column("id", "long"), column("v", "void"), column("n", "date")])
    made.commit(made.file(pa.table({"id": [1]})))
    table = made.open()
    assert table.to_arrow().to_pylist() == [{"id": 1, "v": None, "n": None}]


def test_hidden_columns_of_files_are_in_no_answer(made: HandMade):
    made.create(
        [column("id", "long")],
        writer_features=["rowTracking", "domainMetadata"],
        delta__enableRowTracking="true",
        delta__rowTracking__materializedRowIdColumnName="_row-id-col",
    )
    add = made.file(pa.table({"id": [1], "_row-id-col": [5]}))
    add["add"] |= {"baseRowId": 0, "defaultRowCommitVersion": 1}
    domain = {"domain": "delta.rowTracking", "configuration": '{"rowIdHighWaterMark":0}'}
    made.commit(add, {"domainMetadata": domain | {"removed": False}})
    table = made.open()
    assert table.to_arrow().to_pylist() == [{"id": 1}]
    assert duckdb.from_arrow(table.to_dataset()).fetchall() == [(1,)]
    with pytest.raises(UnsupportedTableFeature) as caught:
        table.append(table.to_arrow())
    assert "rowTracking" in caught.value.names


REFUSED = {
    "clustering": (["clustering", "domainMetadata"], {}, {}),
    "checkConstraints": (["checkConstraints"], {"delta__constraints__c": "id > 0"}, {}),
    "generatedColumns": (["generatedColumns"], {}, {"delta__generationExpression": "1 + 1"}),
    "identityColumns": (["identityColumns"], {}, {"delta__identity__start": 1}),
    "invariants": (["invariants"], {}, {"delta__invariants": '{"expression": {}}'}),
    "allowColumnDefaults": (["allowColumnDefaults"], {}, {"CURRENT_DEFAULT": "7"}),
    "changeDataFeed": (["changeDataFeed"], {"delta__enableChangeDataFeed": "true"}, {}),
    "inCommitTimestamp": (
        ["inCommitTimestamp"],
        {"delta__enableInCommitTimestamps": "true"},
        {},
    ),
    "icebergCompatV2": (["icebergCompatV2"], {"delta__enableIcebergCompatV2": "true"}, {}),
    "checkpointProtection": (["checkpointProtection"], {}, {}),
    "unheardOf": (["unheardOf"], {}, {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_binds_writers_alone_is_read_and_refused_by_name_before_anything_is_written(
    made: HandMade, name
):
    listed, configuration, metadata = REFUSED[name]
    made.create([column("id", "long", **metadata)], writer_features=listed, **configuration)
    data = pa.table({"id": pa.array([1, 2], pa.int64())})
    made.commit(made.file(data))
    table = made.open()
    assert table.to_arrow().to_pylist() == data.to_pylist()
    before = sorted(path.name for path in made.root.rglob("*"))
    for write in (
        lambda: table.append(data),
        lambda: table.overwrite(data),
        lambda: table.delete("id = 1"),
        lambda: table.transaction().__enter__(),
    ):
        with pytest.raises(AtomicManifestError) as caught:
            write()
        assert name in getattr(caught.value, "names", ())
    assert sorted(path.name for path in made.root.rglob("*")) == before


@pytest.mark.parametrize("name", ["catalogManaged", "catalogOwned-preview", "unheardOf"])
def test_what_binds_readers_and_is_not_known_is_refused_by_name_at_once(made: HandMade, name):
    made.create([column("id", "long")], features=[name])
    with pytest.raises(UnsupportedTableFeature) as caught:
        made.open()
    assert caught.value.names == (name,)
