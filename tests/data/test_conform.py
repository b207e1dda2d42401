import datetime as dt
import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from atomic_manifest.data.input.conform import conform
from atomic_manifest.errors import DataError, InvalidSchema, NullsInColumn, SchemaMismatch
from atomic_manifest.log.metadata.schema import canonical

UTC = pa.timestamp("us", "UTC")


def run(column: pa.Array, target: pa.DataType, **options: Any) -> pa.Array:
    table = pa.table({"x": column})
    schema = pa.schema([pa.field("x", target)])
    read = conform(table.to_reader(), schema, **options).read_all()
    read.validate(full=True)
    assert read.schema.equals(schema)
    return read["x"].combine_chunks()


def refuse(column: pa.Array, target: pa.DataType) -> SchemaMismatch:
    """The refusal of values of another kind."""
    with pytest.raises(SchemaMismatch) as caught:
        run(column, target)
    return caught.value


# --- every Arrow type that a table can be made of ------------------------------------------------

BYTES = [b"a", None, b"\xff"]
ARRAYS = {
    "string": pa.array(["a", None, "é"]),
    "large_string": pa.array(["a", None, "é"], pa.large_string()),
    "string_view": pa.array(["a", None, "é" * 20], pa.string_view()),
    "categorical": pa.array(["a", None, "a"]).dictionary_encode(),
    "large categorical": pa.array(["a", None], pa.large_string()).dictionary_encode(),
    "categorical of ints": pa.array([7, None, 7]).dictionary_encode(),
    "run-end encoded": pc.run_end_encode(pa.array(["a", "a", None])),
    "run ends of views": pa.RunEndEncodedArray.from_arrays(
        pa.array([1, 3], pa.int32()), pa.array(["a", "longer than twelve bytes"], pa.string_view())
    ),
    "run ends of categories": pa.RunEndEncodedArray.from_arrays(
        pa.array([1, 3], pa.int16()), pa.array(["a", None]).dictionary_encode()
    ),
    "binary": pa.array(BYTES),
    "large_binary": pa.array(BYTES, pa.large_binary()),
    "binary_view": pa.array(BYTES, pa.binary_view()),
    "fixed-size binary": pa.array([b"ab", None], pa.binary(2)),
    "uuid": pa.array([b"0123456789abcdef", None], pa.uuid()),
    "json": pa.array(['{"a": 1}', None], pa.json_()),
    "bool": pa.array([True, None, False]),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 7, None], pa.int8())),
    "int8": pa.array([-128, None, 127], pa.int8()),
    "int16": pa.array([-(2**15), None], pa.int16()),
    "int32": pa.array([-(2**31), None], pa.int32()),
    "int64": pa.array([-(2**63), None, 2**63 - 1]),
    "uint8": pa.array([255, None], pa.uint8()),
    "uint16": pa.array([2**16 - 1, None], pa.uint16()),
    "uint32": pa.array([2**32 - 1, None], pa.uint32()),
    "half": pa.array([1.5, None], pa.float16()),
    "float": pa.array([0.1, None, float("inf")], pa.float32()),
    "double": pa.array([0.1, None, -0.0]),
    "decimal32": pa.array([Decimal("1.20"), None], pa.decimal32(5, 2)),
    "decimal64": pa.array([Decimal("1.20"), None], pa.decimal64(12, 2)),
    "decimal128": pa.array([Decimal("1.20"), None], pa.decimal128(38, 2)),
    "decimal256": pa.array([Decimal("1.20"), None], pa.decimal256(30, 2)),
    "date32": pa.array([dt.date(2026, 1, 2), None]),
    "date64": pa.array([dt.date(2026, 1, 2), None], pa.date64()),
    "timestamp s": pa.array([-1, None], pa.timestamp("s")),
    "timestamp ms": pa.array([-1, None], pa.timestamp("ms")),
    "timestamp us": pa.array([-1, None], pa.timestamp("us")),
    "timestamp ns": pa.array([-1000, None], pa.timestamp("ns")),
    "timestamp Berlin": pa.array([1, None], pa.timestamp("ms", "Europe/Berlin")),
    "timestamp offset": pa.array([1000, None], pa.timestamp("ns", "+02:00")),
    "timestamp UTC": pa.array([1, None], UTC),
    "null": pa.nulls(2),
    "list": pa.array([[1, None], None, []]),
    "large_list": pa.array([[1, None], None, []], pa.large_list(pa.int32())),
    "list_view": pa.array([[1, None], None, [], [4]], pa.list_view(pa.int32())),
    "large_list_view": pa.array([[1], None, [4, 5]], pa.large_list_view(pa.int32())),
    "fixed-size list": pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2)),
    "list of lists": pa.array(
        [[[1], None], None, [[2, 3], []]], pa.large_list(pa.list_(pa.int8()))
    ),
    "list of strings": pa.array([["a"], None], pa.list_(pa.string_view())),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
    "struct of lists": pa.array([{"a": [1]}, None], pa.struct([("a", pa.large_list(pa.int8()))])),
    "map": pa.array([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.string(), pa.int32())),
    "map of views": pa.array(
        [[("a", [1])], None], pa.map_(pa.string_view(), pa.list_view(pa.int8()))
    ),
}


def plain(array: pa.Array) -> list[Any]:
    """Values as Python sees them, alike for all layouts and time units."""
    kind = array.type
    if isinstance(kind, pa.Bool8Type):
        return [None if value is None else value != 0 for value in array.storage.to_pylist()]
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pa.types.is_timestamp(kind):
        unit = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        values = array.view(pa.int64()).to_pylist()
        return [None if value is None else Fraction(value, unit) for value in values]
    return [
        "NaN" if isinstance(value, float) and math.isnan(value) else value
        for value in array.to_pylist()
    ]


@pytest.mark.parametrize("name", ARRAYS)
def test_data_fits_the_table_made_from_it_and_stays_as_it_is(name: str) -> None:
    array = ARRAYS[name]
    target = canonical(pa.schema([("x", array.type)])).field("x").type
    first = run(array, target)
    assert plain(first) == plain(array)
    second = run(first, target)
    assert second.equals(first)
    assert run(array.slice(1), target).equals(first.slice(1))


@pytest.mark.parametrize("name", ARRAYS)
def test_conforming_twice_is_conforming_once_for_empty_input(name: str) -> None:
    array = ARRAYS[name].slice(0, 0)
    target = canonical(pa.schema([("x", array.type)])).field("x").type
    assert len(run(array, target)) == 0


# --- what fits what ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (pa.int8(), pa.int64()),
        (pa.uint8(), pa.int16()),
        (pa.uint16(), pa.int32()),
        (pa.uint32(), pa.int64()),
        (pa.int8(), pa.float32()),
        (pa.int16(), pa.float32()),
        (pa.int32(), pa.float64()),
        (pa.uint32(), pa.float64()),
        (pa.float16(), pa.float32()),
        (pa.float32(), pa.float64()),
        (pa.int32(), pa.decimal128(10, 0)),
        (pa.int64(), pa.decimal128(21, 2)),
        (pa.decimal128(5, 2), pa.decimal128(6, 3)),
        (pa.decimal256(40, 2), pa.decimal256(41, 2)),
        (pa.date64(), pa.date32()),
        (pa.null(), pa.int64()),
        (pa.null(), pa.struct([("a", pa.int64())])),
        (pa.null(), pa.map_(pa.string(), pa.int64())),
        (pa.timestamp("s", "Asia/Tokyo"), UTC),
        (pa.timestamp("ns"), pa.timestamp("us")),
    ],
)
def test_a_type_that_fits_is_taken(source: pa.DataType, target: pa.DataType) -> None:
    values = (
        pa.nulls(2, source)
        if pa.types.is_null(source)
        else pa.array([1, None]).cast(pa.int8() if not pa.types.is_temporal(source) else pa.int64())
    )
    if pa.types.is_date(source):
        values = pa.array([dt.date(1970, 1, 2), None], source)
    elif pa.types.is_timestamp(source):
        values = pa.array([1000, None], source)
    elif not pa.types.is_null(source):
        values = values.cast(source, safe=False)
    assert plain(run(values, target)) == plain(values)


@pytest.mark.parametrize(
    ("column", "target"),
    [
        (pa.array([True]), pa.int64()),
        (pa.array([1]), pa.bool_()),
        (pa.array([1]), pa.string()),
        (pa.array(["1"]), pa.int64()),
        (pa.array([b"a"]), pa.string()),
        (pa.array(["a"]), pa.binary()),
        (pa.array([dt.date(2026, 1, 1)]), UTC),
        (pa.array([dt.date(2026, 1, 1)]), pa.timestamp("us")),
        (pa.array([0], pa.timestamp("us")), pa.date32()),
        (pa.array([0], pa.timestamp("us")), UTC),
        (pa.array([0], UTC), pa.timestamp("us")),
        (pa.array([0], UTC), pa.int64()),
        (pa.array([1], pa.time64("us")), pa.int64()),
        (pa.array([1]), pa.list_(pa.int64())),
        (pa.array([[1]]), pa.int64()),
        (pa.array([{"a": 1}]), pa.map_(pa.string(), pa.int64())),
        (pa.array([1]).dictionary_encode(), pa.string()),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else str(each),
)
def test_values_of_another_kind_are_refused_and_nulls_and_no_rows_are_not(
    column: pa.Array, target: pa.DataType
) -> None:
    error = refuse(column, target)
    assert error.columns == ("x",)
    assert f"is {target}, got " in str(error)
    assert run(pa.nulls(2, column.type), target).to_pylist() == [None, None]
    assert len(run(column.slice(0, 0), target)) == 0


def test_a_column_without_a_type_takes_nulls_of_any() -> None:
    assert run(pa.nulls(2, pa.string()), pa.null()).equals(pa.nulls(2))
    with pytest.raises(SchemaMismatch, match="'x' is without a type, got string; schema_mode="):
        run(pa.array(["a"]), pa.null())


def test_what_is_stored_for_a_period_or_an_interval_of_pandas_is_not_taken_for_it() -> None:
    columns = {"p": pd.period_range("2026-01", periods=1, freq="M"), "i": pd.interval_range(0, 1)}
    table = pa.Table.from_pandas(pd.DataFrame(columns))
    with pytest.raises(InvalidSchema) as caught:
        canonical(table.schema)
    assert caught.value.columns == ("p", "i")
    targets = {"p": pa.int64(), "i": pa.struct([("left", pa.int64()), ("right", pa.int64())])}
    for name, target in targets.items():
        refuse(table[name].combine_chunks(), target)


def test_types_deep_inside_are_refused_by_dotted_name() -> None:
    target = pa.struct([("a", pa.list_(pa.struct([("b", pa.float32())])))])
    assert refuse(pa.array([{"a": [{"b": "x"}]}]), target).columns == ("x.a.element.b",)
    maps = (pa.map_(pa.string(), pa.string()), pa.map_(pa.string(), pa.int32()))
    assert refuse(pa.array([[("k", "v")]], maps[0]), maps[1]).columns == ("x.value",)


# --- names ---------------------------------------------------------------------------------------

SCHEMA = pa.schema(
    [
        pa.field("a", pa.int64(), nullable=False),
        pa.field("b", pa.string()),
        pa.field("v", pa.null()),
    ]
)


def test_columns_match_by_name_and_missing_nullable_ones_are_null() -> None:
    table = pa.table({"a": [1]})
    assert conform(table.to_reader(), SCHEMA).read_all().to_pylist() == [
        {"a": 1, "b": None, "v": None}
    ]
    table = pa.table({"b": ["x"], "a": [1]})
    assert conform(table.to_reader(), SCHEMA).read_all()["b"].to_pylist() == ["x"]


def test_all_problems_of_a_schema_are_told_at_once() -> None:
    table = pa.table({"b": [1.5], "x": [1], "y": [2]})
    with pytest.raises(SchemaMismatch) as caught:
        conform(table.to_reader(), SCHEMA)
    assert set(caught.value.columns) == {"x", "y", "a", "b"}
    for text in ("'x', 'y'", "missing and non-null: 'a'", "'b' is string, got double"):
        assert text in str(caught.value)


def test_a_column_given_twice_is_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SchemaMismatch, match="more than once: 'a'"):
        conform(table.to_reader(), SCHEMA)


def test_fields_of_structs_match_by_name() -> None:
    target = pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.string())])
    assert run(pa.array([{"b": "x", "a": 1}, None]), target).to_pylist() == [
        {"a": 1, "b": "x"},
        None,
    ]
    assert run(pa.array([{"b": "x"}]), target).to_pylist() == [{"a": None, "b": "x"}]
    assert refuse(pa.array([{"a": 1, "z": 1}]), target).columns == ("x.z",)


def test_metadata_of_other_libraries_goes() -> None:
    pandas = pa.table({"a": [1]}).to_pandas()
    table = pa.Table.from_pandas(pandas)
    read = conform(table.to_reader(), SCHEMA.with_metadata({"pandas": "{}"}))
    assert read.schema.metadata is None
    assert read.read_all().schema.metadata is None


# --- nulls ---------------------------------------------------------------------------------------


def nulls_in(array: pa.Array, target: pa.Field) -> str:
    table = pa.table({target.name: array})
    with pytest.raises(NullsInColumn) as caught:
        conform(table.to_reader(), pa.schema([target])).read_all()
    return str(caught.value.column)


def required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def test_nulls_in_a_non_null_column_are_refused_at_any_depth() -> None:
    inner = pa.struct([required("b", pa.int64())])
    assert nulls_in(pa.array([1, None]), required("x", pa.int64())) == "x"
    assert nulls_in(pa.nulls(1), required("x", pa.int64())) == "x"
    assert nulls_in(pa.array(["a", None]).dictionary_encode(), required("x", pa.string())) == "x"
    assert nulls_in(pa.array([{"b": None}]), pa.field("x", inner)) == "x.b"
    nested = pa.field("x", pa.struct([pa.field("a", inner)]))
    assert nulls_in(pa.array([{"a": {"b": None}}]), nested) == "x.a.b"
    items = pa.field("x", pa.list_(required("element", pa.int64())))
    assert nulls_in(pa.array([[1, None]]), items) == "x.element"
    values = pa.field("x", pa.map_(pa.string(), required("value", pa.int64())))
    pairs = pa.array([[("a", None)]], pa.map_(pa.string(), pa.int64()))
    assert nulls_in(pairs, values) == "x.value"


def test_a_null_hidden_in_a_dictionary_is_found() -> None:
    hidden = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    assert nulls_in(hidden, required("x", pa.string())) == "x"


def test_null_parents_of_non_null_fields_are_fine() -> None:
    inner = pa.struct([required("b", pa.int64())])
    assert run(pa.array([None, {"b": 1}]), inner).to_pylist() == [None, {"b": 1}]
    items = pa.list_(required("element", pa.int64()))
    assert run(pa.array([None, [1]]), items).to_pylist() == [None, [1]]


def test_a_schema_that_claims_non_null_is_not_believed() -> None:
    batch = pa.record_batch([pa.array([None], pa.int64())], schema=pa.schema([("x", pa.int64())]))
    lying = pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema([required("x", pa.int64())]))
    reader = pa.RecordBatchReader.from_batches(lying.schema, [lying])
    with pytest.raises(NullsInColumn):
        conform(reader, lying.schema).read_all()


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_nanoseconds_that_would_be_lost_are_refused_or_dropped_on_demand(zone: str | None) -> None:
    array = pa.array([1_001, -1, 0, None], pa.timestamp("ns", zone))
    target = pa.timestamp("us", "UTC" if zone else None)
    with pytest.raises(DataError, match="'x'"):
        run(array, target)
    dropped = run(array, target, coerce_timestamps=True)
    assert dropped.view(pa.int64()).to_pylist() == [1, -1, 0, None]


def test_nanoseconds_below_a_null_struct_do_not_count() -> None:
    child = pa.array([1_001, 2_000], pa.timestamp("ns"))
    array = pa.StructArray.from_arrays([child], ["t"], mask=pa.array([True, False]))
    target = pa.struct([("t", pa.timestamp("us"))])
    assert run(array, target).is_null().to_pylist() == [True, False]


def test_values_out_of_range_are_refused_by_column() -> None:
    with pytest.raises(DataError, match="'x'"):
        run(pa.array([2**62], pa.timestamp("s")), pa.timestamp("us"))
    with pytest.raises(DataError, match="'x'"):
        run(pa.array([86_400_001], pa.date64()), pa.date32())


def test_decimals_of_more_digits_than_their_type_has_are_refused_at_any_depth() -> None:
    """DuckDB gives its HUGEINT, of 39 digits, as decimals of 38."""
    huge = duckdb.sql(f"SELECT {2**127 - 1}::HUGEINT AS x, [{2**127 - 1}::HUGEINT] AS y")
    for name in ("x", "y"):
        column = huge.to_arrow_table()[name].combine_chunks()
        target = canonical(pa.schema([("x", column.type)])).field("x").type
        with pytest.raises(DataError, match="'x.*does not fit in precision"):
            run(column, target)


def test_values_of_a_dictionary_that_are_not_in_use_do_not_count() -> None:
    values = pa.array([1_001, 2_000], pa.timestamp("ns"))
    array = pa.DictionaryArray.from_arrays(pa.array([1, None]), values)
    assert plain(run(array, pa.timestamp("us"))) == [Fraction(2, 10**6), None]


# --- pieces --------------------------------------------------------------------------------------


def test_large_batches_come_in_pieces_and_whole() -> None:
    table = pa.table({"x": pa.array(range(300_000), pa.int32())})
    reader = conform(table.to_reader(), pa.schema([("x", pa.int64())]))
    batches = list(reader)
    assert max(batch.num_rows for batch in batches) <= 1 << 17
    assert pa.Table.from_batches(batches)["x"].to_pylist() == list(range(300_000))


def test_a_batch_with_wide_rows_comes_in_smaller_pieces() -> None:
    wide = pa.array(["x" * 1_000_000] * 100).dictionary_encode()
    table = pa.table({"x": wide.cast(pa.large_string())})
    batches = list(conform(table.to_reader(), pa.schema([("x", pa.string())])))
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == 100
