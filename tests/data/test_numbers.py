"""Numbers of every type into every type: taken if they stay the same number, refused otherwise."""

import math
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomic_manifest.data.input.conform import conform
from atomic_manifest.errors import DataError

INTEGERS = [
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()
]  # fmt: skip
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [
    pa.decimal128(1, 0), pa.decimal128(9, 2), pa.decimal128(18, 0), pa.decimal128(18, 18),
    pa.decimal128(38, 0), pa.decimal128(38, 10), pa.decimal256(76, 10), pa.decimal128(5, -2),
]  # fmt: skip
SOURCES = [*INTEGERS, *FLOATS, *DECIMALS]
TARGETS = [*INTEGERS[:4], *FLOATS[1:], *(kind for kind in DECIMALS[:6])]
INTERESTING = [
    0, 1, -1, 127, 128, 255, 2**24, 2**24 + 1, 2**31, 2**53, 2**53 + 1, 2**60, 2**62 + 1, 2**63 - 1,
    2**63, 2**64 - 1, -(2**63), 10**18, 10**37,
]  # fmt: skip


def fits(value: Any, kind: pa.DataType) -> bool:
    """Whether a type holds a number, told by Python alone."""
    if isinstance(value, float) and (
        not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0)
    ):
        return pa.types.is_floating(kind)
    number = Fraction(value)
    if pa.types.is_integer(kind):
        signed = pa.types.is_signed_integer(kind)
        high = 2 ** (kind.bit_width - signed)
        return number.denominator == 1 and (-high if signed else 0) <= number < high
    if pa.types.is_decimal(kind):
        digits = number * Fraction(10) ** kind.scale
        return digits.denominator == 1 and abs(digits) < 10**kind.precision
    try:
        held = pa.scalar(float(number), kind).as_py()
    except (OverflowError, pa.ArrowInvalid):
        return False
    return math.isfinite(held) and Fraction(held) == number


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    near = st.sampled_from(INTERESTING)
    if pa.types.is_integer(kind):
        return near.filter(lambda value: fits(value, kind)) | st.integers(-100, 100).filter(
            lambda value: fits(value, kind)
        )
    if pa.types.is_floating(kind):
        whole = near.filter(lambda value: fits(value, kind)).map(float)
        return whole | st.floats(width=kind.bit_width) | st.sampled_from([0.5, -0.0, 0.0, 7.5])
    exact = Context(prec=80)
    most = 10**kind.precision - 1
    return st.integers(-most, most).map(lambda value: exact.scaleb(Decimal(value), -kind.scale)) | (
        near.filter(lambda value: fits(value, kind)).map(Decimal)
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[pa.Array, pa.DataType]:
    source = draw(st.sampled_from(SOURCES))
    given_values = draw(st.lists(st.none() | values(source), max_size=3))
    return pa.array(given_values, source), draw(st.sampled_from(TARGETS))


def run(array: pa.Array, target: pa.DataType) -> list[Any]:
    read = conform(pa.table({"x": array}).to_reader(), pa.schema([("x", target)])).read_all()
    read.validate(full=True)
    return read["x"].to_pylist()


@settings(max_examples=1500, deadline=None)
@given(cases())
@example((pa.array([2**63 - 1]), pa.float64()))
@example((pa.array([2**64 - 1], pa.uint64()), pa.float64()))
@example((pa.array([2.0**63]), pa.int64()))
@example((pa.array([-(2.0**63)]), pa.int64()))
@example((pa.array([2**60]), pa.float64()))
@example((pa.array([0.1]), pa.decimal128(38, 10)))
@example((pa.array([Decimal("0.1")]), pa.float64()))
@example((pa.array([1e30]), pa.decimal128(38, 0)))
def test_a_number_is_taken_if_and_only_if_it_stays_the_same(
    case: tuple[pa.Array, pa.DataType],
) -> None:
    array, target = case
    known = array.to_pylist()
    expected = all(value is None or fits(value, target) for value in known)
    # A float's exact decimal may be longer than what Arrow computes with.
    long = pa.types.is_floating(array.type) and pa.types.is_decimal(target)
    try:
        found = run(array, target)
    except DataError:
        found = None
    assert (found is not None) == expected or (found is None and long)
    if found is None:
        return
    for one, other in zip(known, found, strict=True):
        assert (one is None) == (other is None)
        if one is not None and not (isinstance(one, float) and math.isnan(one)):
            assert one == other


@pytest.mark.parametrize("target", [pa.int8(), pa.int32(), pa.decimal128(3, 0), pa.float32()])
@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([1.0, None, 7.5]), "7.5"),
        (pa.array([Decimal("1.0"), None, Decimal("7.3")]), ""),
        (pa.array([1, None, 2**31 + 1]), str(2**31 + 1)),
        (pa.array([1, None, 2**64 - 1], pa.uint64()), str(2**64 - 1)),
    ],
    ids=lambda each: str(each.type) if isinstance(each, pa.Array) else "",
)
def test_what_does_not_fit_is_refused_with_column_value_and_row(
    array: pa.Array, text: str, target: pa.DataType
) -> None:
    if fits(array[2].as_py(), target):
        assert run(array, target)[2] == array[2].as_py()
        return
    with pytest.raises(DataError, match=r"column 'x': .*in row 2 \(counted from 0\)") as caught:
        run(array, target)
    assert (caught.value.column, caught.value.row) == ("x", 2)
    if not pa.types.is_decimal(target):
        assert text in str(caught.value)
