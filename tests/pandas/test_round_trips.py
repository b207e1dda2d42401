"""Frames to tables and back: values, dtypes and index."""

import datetime as dt
import io
import json
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal, assert_index_equal

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.data.input.frame_schema import PROPERTY
from atomic_manifest.errors import SchemaMismatch

COLUMNS = {
    "int64": [1, 2, 3],
    "int8": pd.array([1, -128, 127], dtype="int8"),
    "uint8": pd.array([0, 1, 255], dtype="uint8"),
    "uint32": pd.array([0, 1, 2**32 - 1], dtype="uint32"),
    "float32": pd.array([0.5, None, -1.5], dtype="float32"),
    "float64": [0.1, float("nan"), float("inf")],
    "bool": [True, False, True],
    "Int64": pd.array([1, None, 2**62], dtype="Int64"),
    "Int8": pd.array([1, None, -128], dtype="Int8"),
    "UInt16": pd.array([1, None, 65535], dtype="UInt16"),
    "Float32": pd.array([1.5, None, -2.5], dtype="Float32"),
    "Float64": pd.array([1.5, None, -2.5], dtype="Float64"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "string (default)": ["a", None, ""],
    "string (python)": pd.array(["a", None, ""], dtype=pd.StringDtype("python")),
    "string (pyarrow)": pd.array(["a", None, ""], dtype=pd.StringDtype("pyarrow")),
    "object": pd.Series(["a", "b", ""], dtype="object"),
    "bytes": [b"a", None, b""],
    "category": pd.Categorical(["a", "b", "a"]),
    "category of numbers": pd.Categorical([10, 20, 10]),
    "category with nulls": pd.Categorical(["a", None, "b"]),
    "datetime (us)": pd.DatetimeIndex(["2026-01-01", None, "1960-02-03 04:05:06.123456"]).as_unit("us"),
    "datetime (ns)": pd.to_datetime(["2026-01-01", None, "1960-02-03"]).as_unit("ns"),
    "datetime (UTC)": pd.DatetimeIndex(["2026-01-01", None], tz="UTC").as_unit("us"),
    "datetime (Berlin)": pd.to_datetime(["2026-01-01", None, "2026-07-01"])
    .tz_localize("Europe/Berlin")
    .as_unit("us"),
    "datetime (Berlin, ns)": pd.to_datetime(["2026-01-01", None, "2026-07-01"])
    .tz_localize("Europe/Berlin")
    .as_unit("ns"),
    "date": [dt.date(2026, 1, 1), None, dt.date(1, 1, 1)],
    "decimal": [Decimal("1.25"), None, Decimal("-99.99")],
    "pyarrow int": pd.array([1, None, 3], dtype="int32[pyarrow]"),
    "pyarrow decimal": pd.array([Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 1))),
    "pyarrow timestamp": pd.array(
        [dt.datetime(2026, 1, 1), None, dt.datetime(2026, 2, 1)], dtype=pd.ArrowDtype(pa.timestamp("us"))
    ),
}  # fmt: skip
INDEXES = {
    "range": pd.RangeIndex(3),
    "named numbers": pd.Index([30, 10, 20], name="key"),
    "named strings": pd.Index(["x", "y", "z"], name="key"),
    "named times": pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-04"], tz="UTC", name="at"),
    "named times elsewhere": pd.DatetimeIndex(
        ["2026-01-01", "2026-01-02", "2026-01-04"], tz="Europe/Berlin", name="at"
    ),
    "MultiIndex": pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", "number"]),
}  # fmt: skip


def assert_same(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    """What was read is the frame, or what becomes of it in a Parquet file."""
    try:
        assert_frame_equal(found, frame)
    except AssertionError:
        file = io.BytesIO()
        frame.to_parquet(file)
        assert_frame_equal(found, pd.read_parquet(file))


@pytest.fixture
def url(tmp_path):
    return tmp_path / "t"


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_as_it_went_in(url, name):
    frame = pd.DataFrame({name: COLUMNS[name]})
    am.pandas.to_table(frame, url)
    assert_same(am.pandas.read_table(url), frame)
    assert_same(am.Table.open(url).to_pandas(), frame)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_second_append_fits_and_comes_back_too(url, name):
    frame = pd.DataFrame({name: COLUMNS[name]})
    am.pandas.to_table(frame, url)
    frame.atomic.append(url)
    assert_same(am.pandas.read_table(url), pd.concat([frame, frame], ignore_index=True))


@pytest.mark.parametrize("name", [name for name in COLUMNS if not name.startswith("category")])
def test_a_table_without_rows_keeps_the_dtypes(url, name):
    frame = pd.DataFrame({name: COLUMNS[name]})
    am.pandas.to_table(frame, url)
    dtypes = am.pandas.read_table(url).dtypes
    am.Table.open(url).overwrite(frame.iloc[:0])
    assert_frame_equal(am.pandas.read_table(url), frame.iloc[:0].astype(dtypes))


def test_an_empty_frame_makes_a_table(url):
    frame = pd.DataFrame(
        {"n": COLUMNS["Int8"], "at": COLUMNS["datetime (Berlin)"]}, index=INDEXES["named numbers"]
    ).iloc[:0]
    am.pandas.to_table(frame, url)
    assert_frame_equal(am.pandas.read_table(url), frame)


def test_nested_values_come_back_as_pyarrow_gives_them(url, tmp_path):
    frame = pd.DataFrame({"list": [[1, 2], None, []], "struct": [{"a": 1}, {"a": 2}, None]})
    am.pandas.to_table(frame, url)
    frame.to_parquet(tmp_path / "p.parquet")
    assert_frame_equal(am.pandas.read_table(url), pd.read_parquet(tmp_path / "p.parquet"))


def test_dtypes_that_pandas_cannot_name_come_back(url):
    nested = pd.array([[1, 2], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64())))
    am.pandas.to_table(pd.DataFrame({"list": nested}), url)
    found = am.pandas.read_table(url)["list"]
    assert found.dtype == nested.dtype
    assert found.tolist() == [[1, 2], pd.NA, []]
    assert am.pandas.read_table(url, dtype_backend="pyarrow")["list"].dtype == pd.ArrowDtype(
        pa.list_(pa.field("element", pa.int64()))
    )


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_an_index_comes_back(url, index):
    frame = pd.DataFrame({"v": [1.5, 2.5, 3.5]}, index=index)
    am.pandas.to_table(frame, url)
    frame.atomic.append(url)
    wanted = pd.concat([frame, frame], ignore_index=isinstance(index, pd.RangeIndex))
    assert_frame_equal(am.pandas.read_table(url), wanted, check_freq=False)
    assert am.Table.open(url).schema.names == ["v", *(name for name in index.names if name)]


def test_an_index_comes_with_chosen_columns(url):
    frame = pd.DataFrame({"v": [1, 2], "w": [3, 4]}, index=pd.Index(["a", "b"], name="key"))
    am.pandas.to_table(frame, url)
    assert_frame_equal(am.pandas.read_table(url, columns=["w"]), frame[["w"]])
    plain = am.Table.open(url).to_pandas(["w"], ignore_metadata=True)
    assert_frame_equal(plain, frame[["w"]].reset_index(drop=True))


def test_rows_of_others_have_no_part_in_the_index_they_lack(url):
    frame = pd.DataFrame({"v": [1]}, index=pd.Index(["a"], name="key"))
    am.pandas.to_table(frame, url)
    am.append(url, pa.table({"key": ["b"], "v": [2]}))
    assert_index_equal(am.pandas.read_table(url).index, pd.Index(["a", "b"], name="key"))


def test_an_unnamed_index_is_not_written_unless_asked_for(url):
    frame = pd.DataFrame({"v": [1, 2]}, index=["a", "b"])
    am.pandas.to_table(frame, url)
    assert am.Table.open(url).schema.names == ["v"]
    with pytest.raises(SchemaMismatch, match="__index_level_0__"):
        am.pandas.to_table(frame, url, mode="append", index=True)
    frame.atomic.append(url)
    assert am.Table.open(url).schema.names == ["v"]
    assert len(am.pandas.read_table(url)) == 4


def test_an_unnamed_index_that_was_asked_for_comes_back_unnamed(url):
    frame = pd.DataFrame({"v": [1, 2]}, index=["a", "b"])
    am.pandas.to_table(frame, url, index=True)
    assert_frame_equal(am.pandas.read_table(url), frame)


def test_an_index_can_be_left_out(url):
    frame = pd.DataFrame({"v": [1, 2]}, index=pd.Index(["a", "b"], name="key"))
    am.pandas.to_table(frame, url, index=False)
    assert_frame_equal(am.pandas.read_table(url), frame.reset_index(drop=True))


def test_ordered_categories_come_back_as_their_values(url):
    frame = pd.DataFrame({"c": pd.Categorical(["low", "high"], ["low", "high"], ordered=True)})
    am.pandas.to_table(frame, url)
    assert am.pandas.read_table(url)["c"].tolist() == ["low", "high"]
    assert not isinstance(am.pandas.read_table(url)["c"].dtype, pd.CategoricalDtype)


def test_a_value_that_does_not_fit_the_dtype_of_the_frame_comes_back_as_it_is(url):
    am.pandas.to_table(pd.DataFrame({"n": pd.array([1], dtype="uint8")}), url)
    am.append(url, pa.table({"n": pa.array([-5], pa.int16())}))
    back = am.pandas.read_table(url)
    assert back["n"].tolist() == [1, -5]
    assert back["n"].dtype == "int16"


def test_times_beyond_nanoseconds_come_back_as_microseconds(url):
    am.pandas.to_table(pd.DataFrame({"at": pd.to_datetime(["2026-01-01"]).as_unit("ns")}), url)
    far = dt.datetime(9999, 1, 1)
    am.append(url, pa.table({"at": pa.array([far], pa.timestamp("us"))}))
    assert am.pandas.read_table(url)["at"].tolist()[1] == pd.Timestamp(far)


def test_plain_frames_leave_no_property_behind(url):
    am.pandas.to_table(pd.DataFrame({"a": [1], "s": ["x"], "f": [0.5]}), url)
    assert dict(am.Table.open(url).configuration) == {}


@pytest.mark.parametrize("damage", ["", "?", "AAAA", "bm90IGFycm93"])
def test_a_damaged_property_is_passed_over(url, damage):
    am.Table.create(url, pa.schema({"a": pa.int64()}), configuration={PROPERTY: damage})
    am.append(url, pa.table({"a": [1]}))
    assert am.pandas.read_table(url)["a"].tolist() == [1]


@pytest.mark.parametrize(
    "metadata",
    [
        b"not JSON",
        b"[]",
        b'{"columns": [{"name": "a"}]}',
        b'{"index_columns": 1}',
        b'{"columns": [{"field_name": "a", "numpy_type": null}], "index_columns": ["a"]}',
        b'{"columns": [{"field_name": "b", "numpy_type": "Int64"}], "index_columns": ["b"]}',
    ],
)
def test_strange_metadata_of_pandas_is_passed_over(url, metadata):
    am.append(url, pa.table({"a": [1]}).replace_schema_metadata({b"pandas": metadata}))
    assert am.pandas.read_table(url)["a"].tolist() == [1]


def test_a_dtype_that_is_not_installed_is_passed_over(url):
    metadata = {"columns": [{"field_name": "a", "name": "a", "numpy_type": "nobody's dtype"}]}
    rows = pa.table({"a": [1]}).replace_schema_metadata({b"pandas": json.dumps(metadata)})
    am.append(url, rows)
    assert am.pandas.read_table(url)["a"].tolist() == [1]


@pytest.mark.parametrize("way", ["append", "write_dataset", "Arrow table of pandas"])
def test_every_first_write_of_a_frame_keeps_its_index(url, way):
    frame = pd.DataFrame({"v": [1]}, index=pd.Index(["a"], name="key"))
    match way:
        case "append":
            am.append(url, frame)
        case "write_dataset":
            am.write_dataset(pa.Table.from_pandas(frame), url)
        case _:
            am.append(url, pa.Table.from_pandas(frame))
    assert_frame_equal(am.pandas.read_table(url), frame)


@pytest.mark.interop
def test_other_engines_read_a_table_made_from_a_frame(url):
    import deltalake
    import duckdb
    import polars as pl

    frame = pd.DataFrame(
        {"n": pd.array([1, None], dtype="Int64"), "c": pd.Categorical(["a", "b"])},
        index=pd.Index(["x", "y"], name="key"),
    )
    am.pandas.to_table(frame, url)
    deltalake.write_deltalake(str(url), frame.reset_index().astype({"c": "str"}), mode="append")
    assert_frame_equal(am.pandas.read_table(url), pd.concat([frame, frame]))
    assert deltalake.DeltaTable(str(url)).to_pyarrow_table().num_rows == 4
    assert pl.read_delta(str(url)).height == 4
    assert duckdb.sql(f"SELECT count(*) FROM delta_scan('{url}')").fetchall() == [(4,)]
