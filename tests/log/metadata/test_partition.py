import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.partition import folder, parse, serialize

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
UTC = pa.timestamp("us", "UTC")
NTZ = pa.timestamp("us")

values = st.one_of(
    st.tuples(st.just(pa.string()), TEXT),
    st.tuples(st.just(pa.binary()), TEXT.map(str.encode)),
    st.tuples(st.just(pa.bool_()), st.booleans()),
    st.tuples(st.just(pa.int8()), st.integers(-(2**7), 2**7 - 1)),
    st.tuples(st.just(pa.int64()), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(pa.float32()), st.floats(width=32)),
    st.tuples(st.just(pa.float64()), st.floats()),
    st.tuples(st.just(pa.date32()), st.dates()),
    st.tuples(st.just(NTZ), st.datetimes()),
    st.tuples(st.just(UTC), st.datetimes(timezones=st.just(dt.UTC))),
    st.tuples(
        st.just(pa.decimal128(38, 9)),
        st.decimals(-(10**28), 10**28, places=9),
    ),
)


@given(values)
def test_every_primitive_value_comes_back_as_it_was(value):
    type_, plain = value
    scalar = pa.scalar(plain, type_)
    text = serialize(scalar)
    back = parse(text, type_)
    if isinstance(plain, float) and math.isnan(plain):
        assert math.isnan(back.as_py())
    else:
        assert back == scalar
        assert str(back.as_py()) == str(scalar.as_py())  # -0.0 is not 0.0


@pytest.mark.parametrize(
    ("plain", "type_", "text"),
    [
        (None, pa.int64(), None),
        ("", pa.string(), None),
        (b"", pa.binary(), None),
        ("null", pa.string(), "null"),
        (True, pa.bool_(), "true"),
        (1.0, pa.float64(), "1.0"),
        (-0.0, pa.float64(), "-0.0"),
        (1.1, pa.float32(), "1.1"),
        (float("nan"), pa.float64(), "NaN"),
        (float("inf"), pa.float32(), "Infinity"),
        (float("-inf"), pa.float64(), "-Infinity"),
        (Decimal("1E+2"), pa.decimal128(10, 2), "100.00"),
        (Decimal("-0.0000001"), pa.decimal128(10, 7), "-0.0000001"),
        (dt.date(1, 2, 3), pa.date32(), "0001-02-03"),
        (dt.date(1969, 12, 31), pa.date64(), "1969-12-31"),
        (dt.datetime(1960, 1, 1, 1, 2, 3, 4), NTZ, "1960-01-01 01:02:03.000004"),
        (dt.datetime(1970, 1, 1), NTZ, "1970-01-01 00:00:00"),
        (dt.datetime(1970, 1, 1), UTC, "1970-01-01T00:00:00.000000Z"),
        ("é".encode(), pa.binary(), "é"),
        (b"\x01\x02", pa.binary(), "\x01\x02"),
    ],
)
def test_values_have_the_protocols_text(plain, type_, text):
    assert serialize(pa.scalar(plain, type_)) == text


@pytest.mark.parametrize(
    ("text", "type_", "plain"),
    [
        (None, pa.int64(), None),
        ("", pa.timestamp("us"), None),
        ("x", pa.null(), None),
        ("1E2", pa.decimal128(10, 2), Decimal("100.00")),
        ("0E-30", pa.decimal128(10, 2), Decimal("0.00")),
        ("1.0E10", pa.float64(), 1e10),
        ("inf", pa.float64(), math.inf),
        ("TRUE", pa.bool_(), True),
        ("2021-09-08 11:11:11", UTC, dt.datetime(2021, 9, 8, 11, 11, 11, tzinfo=dt.UTC)),
        ("2021-09-08T11:11:11.5Z", UTC, dt.datetime(2021, 9, 8, 11, 11, 11, 500000, dt.UTC)),
        ("2021-09-08T11:11:11+02:00", UTC, dt.datetime(2021, 9, 8, 9, 11, 11, tzinfo=dt.UTC)),
        ("2021-09-08 11:11:11.123456", NTZ, dt.datetime(2021, 9, 8, 11, 11, 11, 123456)),
    ],
)
def test_both_forms_and_other_writers_spellings_are_read(text, type_, plain):
    assert parse(text, type_) == pa.scalar(plain, type_)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("yes", pa.bool_()),
        ("300", pa.int8()),
        ("1.5", pa.int64()),
        ("x", pa.float64()),
        ("1.001", pa.decimal128(10, 2)),
        ("1E999999999", pa.decimal128(10, 2)),
        ("NaN", pa.decimal128(10, 2)),
        ("99.99", pa.decimal128(3, 2)),
        ("2021-13-01", pa.date32()),
        ("2021-01-01T00:00:00Z", NTZ),
        ("noon", UTC),
        ("x", pa.list_(pa.int64())),
    ],
)
def test_text_that_is_no_value_of_the_type_is_refused(text, type_):
    with pytest.raises(DataError):
        parse(text, type_)


@pytest.mark.parametrize(
    "scalar",
    [
        pa.scalar(b"\xff"),
        pa.scalar([1]),
        pa.scalar(2**30, pa.date32()),
        pa.scalar(2**62, NTZ),
    ],
)
def test_values_without_a_text_form_are_refused(scalar):
    with pytest.raises(DataError, match="cannot be a partition value"):
        serialize(scalar)


def test_folders_are_hive_style_and_escape_what_spark_escapes():
    special = "\x01\"#%'*/:=?\\\x7f{[]^ ä+}"
    assert folder({"a": "1", "b": None, "c": ""}) == (
        "a=1/b=__HIVE_DEFAULT_PARTITION__/c=__HIVE_DEFAULT_PARTITION__"
    )
    assert folder({"k/": special}) == ("k%2F=%01%22%23%25%27%2A%2F%3A%3D%3F%5C%7F%7B%5B%5D%5E ä+}")
