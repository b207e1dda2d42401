import datetime as dt
import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.data.conform import conform
from atomic_manifest.errors import DataError, NullsInColumn, SchemaMismatch
from atomic_manifest.log.schema import canonical

UTC = pa.timestamp("us", "UTC")


def run(column: pa.Array, target: pa.DataType, **options: Any) -> pa.Array:
    table = pa.table({"x": column})
    schema = pa.schema([pa.field("x", target)])
    read = conform(table.to_reader(), schema, **options).read_all()
    read.validate(full=True)
    assert read.schema.equals(schema)
    return read["x"].combine_chunks()


def refuse(column: pa.Array, target: pa.DataType) -> SchemaMismatch:
    """The refusal of a type, which comes before any batch is pulled."""

    def never() -> Any:
        raise AssertionError("a batch was pulled")
        yield

    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", column.type)]), never())
    with pytest.raises(SchemaMismatch) as caught:
        conform(reader, pa.schema([("x", target)]))
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
    "binary": pa.array(BYTES),
    "large_binary": pa.array(BYTES, pa.large_binary()),
    "binary_view": pa.array(BYTES, pa.binary_view()),
    "fixed-size binary": pa.array([b"ab", None], pa.binary(2)),
    "uuid": pa.array([b"0123456789abcdef", None], pa.uuid()),
    "json": pa.array(['{"a": 1}', None], pa.json_()),
    "bool": pa.array([True, None, False]),
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
    ("source", "target"),
    [
        (pa.int64(), pa.int32()),
        (pa.int16(), pa.int8()),
        (pa.uint8(), pa.int8()),
        (pa.uint64(), pa.int64()),
        (pa.int64(), pa.uint64()),
        (pa.int64(), pa.float64()),
        (pa.int32(), pa.float32()),
        (pa.float64(), pa.float32()),
        (pa.float64(), pa.int64()),
        (pa.bool_(), pa.int64()),
        (pa.int64(), pa.bool_()),
        (pa.int64(), pa.string()),
        (pa.string(), pa.int64()),
        (pa.binary(), pa.string()),
        (pa.string(), pa.binary()),
        (pa.int64(), pa.decimal128(18, 0)),
        (pa.decimal128(5, 2), pa.decimal128(5, 3)),
        (pa.decimal128(5, 2), pa.decimal128(5, 1)),
        (pa.decimal128(5, 2), pa.float64()),
        (pa.date32(), UTC),
        (pa.timestamp("us"), pa.date32()),
        (pa.timestamp("us"), UTC),
        (UTC, pa.timestamp("us")),
        (pa.time64("us"), pa.int64()),
        (pa.int64(), pa.null()),
        (pa.int64(), pa.list_(pa.int64())),
        (pa.list_(pa.int64()), pa.int64()),
        (pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64())),
        (pa.dictionary(pa.int32(), pa.int64()), pa.string()),
    ],
)
def test_a_type_that_could_lose_something_is_refused_before_data_is_pulled(
    source: pa.DataType, target: pa.DataType
) -> None:
    error = refuse(pa.nulls(0, source), target)
    assert error.columns == ("x",)
    assert f"is {target}, got " in str(error)


def test_types_deep_inside_are_refused_by_dotted_name() -> None:
    source = pa.struct([("a", pa.list_(pa.struct([("b", pa.float64())])))])
    target = pa.struct([("a", pa.list_(pa.struct([("b", pa.float32())])))])
    assert refuse(pa.nulls(0, source), target).columns == ("x.a.element.b",)
    maps = (pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.int32()))
    assert refuse(pa.nulls(0, maps[0]), maps[1]).columns == ("x.value",)


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


# --- nothing changes in silence ------------------------------------------------------------------

LEAVES = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
    pa.uint64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.large_string(),
    pa.string_view(), pa.binary(), pa.large_binary(), pa.decimal128(7, 2), pa.decimal128(12, 5),
    pa.decimal128(38, 10), pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ms"),
    pa.timestamp("us"), pa.timestamp("ns"), UTC, pa.timestamp("ns", "UTC"),
    pa.timestamp("s", "Asia/Kolkata"), pa.null(),
]  # fmt: skip
# A date64 within a day is no valid Arrow array; what is given may be, what comes out may not.
TARGETS = [leaf for leaf in LEAVES if not pa.types.is_date64(leaf)]


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    if pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        high = 2 ** (kind.bit_width - signed) - 1
        return st.integers(-high - 1 if signed else 0, high)
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return st.text(max_size=20)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return st.binary(max_size=20)
    if pa.types.is_decimal(kind):
        most = 10**kind.precision - 1
        exact = Context(prec=50)
        return st.integers(-most, most).map(lambda value: exact.scaleb(value, -kind.scale))
    if pa.types.is_date32(kind):
        return st.dates()
    if pa.types.is_date64(kind):
        return st.dates() | st.integers(-(10**12), 10**12)
    if pa.types.is_timestamp(kind):
        return st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**6), 10**6).map(
            lambda value: value * 1000
        )
    return st.none()


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    kind = draw(st.sampled_from(LEAVES))
    array = pa.array(draw(st.lists(st.none() | values_of(kind), max_size=5)), kind)
    shape = draw(st.sampled_from(["leaf", "dictionary", "list", "view", "struct"]))
    if shape == "dictionary" and not pa.types.is_null(kind):
        return array.dictionary_encode()
    if shape in ("list", "view"):
        cuts = sorted(draw(st.lists(st.integers(0, len(array)), max_size=3)))
        mask = pa.array([draw(st.booleans()) for _ in range(len(cuts) + 1)])
        starts, ends = [0, *cuts], [*cuts, len(array)]
        if shape == "list":
            bounds = pa.array([0, *ends], pa.int64())
            return pa.LargeListArray.from_arrays(bounds, array, mask=mask)
        sizes = [end - start for start, end in zip(starts, ends, strict=True)]
        return pa.ListViewArray.from_arrays(
            pa.array(starts, pa.int32()), pa.array(sizes, pa.int32()), array, mask=mask
        )
    if shape == "struct":
        mask = pa.array(
            draw(st.lists(st.booleans(), min_size=len(array), max_size=len(array))), pa.bool_()
        )
        return pa.StructArray.from_arrays([array], ["c"], mask=mask)
    return array


def in_use(array: pa.DictionaryArray) -> list[tuple[pa.Scalar, Any]]:
    values = leaves(array.dictionary)
    return [(code, values[code.as_py()] if code.is_valid else None) for code in array.indices]


def leaves(array: pa.Array) -> list[Any]:
    """Values and structure without types: equal before and after a faithful conversion."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return [None if not code.is_valid else value for code, value in in_use(array)]
    if pa.types.is_struct(kind):
        inner = leaves(array.flatten()[0])
        return [
            {"c": value} if ok else None
            for ok, value in zip(array.is_valid().to_pylist(), inner, strict=True)
        ]
    if pa.types.is_nested(kind):
        return [None if not item.is_valid else leaves(item.values) for item in array]
    if pa.types.is_date64(kind):
        values = array.view(pa.int64()).to_pylist()
        return [None if v is None else Fraction(v, 86_400_000) for v in values]
    if pa.types.is_date32(kind):
        values = array.view(pa.int32()).to_pylist()
        return [None if v is None else Fraction(v) for v in values]
    return plain(array)


def with_leaf(kind: pa.DataType, leaf: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return leaf
    if pa.types.is_struct(kind):
        return pa.struct([("c", leaf)])
    if pa.types.is_nested(kind):
        return pa.list_(pa.field("element", leaf))
    return leaf


@settings(max_examples=600, deadline=None)
@given(columns(), st.sampled_from(TARGETS), st.integers(0, 2))
def test_no_value_changes_in_silence(column: pa.Array, leaf: pa.DataType, start: int) -> None:
    column = column.slice(start)
    target = with_leaf(column.type, leaf)
    try:
        converted = run(column, target)
    except DataError:
        return
    assert leaves(converted) == leaves(column)
