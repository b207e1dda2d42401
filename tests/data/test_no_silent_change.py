"""No value changes in silence: whatever type goes into whatever type, in whatever layout."""

from decimal import Context
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.data.input.conform import conform
from atomic_manifest.errors import DataError
from tests.interop.exact import facts

UTC = pa.timestamp("us", "UTC")


def run(column: pa.Array, target: pa.DataType) -> pa.Array:
    schema = pa.schema([pa.field("x", target)])
    read = conform(pa.table({"x": column}).to_reader(), schema).read_all()
    read.validate(full=True)
    return read["x"].combine_chunks()


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
    assert facts(converted) == facts(column)
