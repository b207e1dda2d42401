"""Integers beyond those that floats hold stay what they are; so do dtypes that pandas cannot name."""

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import DataError

BIG = 2**53 + 1


@pytest.fixture
def url(tmp_path) -> str:
    return str(tmp_path / "t")


def test_a_big_integer_is_not_rounded_once_a_null_comes(url):
    pd.DataFrame({"id": [BIG, -BIG], "few": [1, 2]}).atomic.append(url)
    pd.DataFrame({"id": pd.array([None], "Int64"), "few": [3]}).atomic.append(url)
    for frame in (am.pandas.read_table(url), am.Table.open(url).to_pandas()):
        assert frame["id"].tolist() == [BIG, -BIG, pd.NA]
        assert frame["few"].dtype == "int64"


def test_small_integers_among_nulls_are_floats_as_pandas_has_them(url):
    am.append(url, pa.table({"id": [2**53, None]}))
    assert am.pandas.read_table(url)["id"].dtype == "float64"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ignore_metadata": True},
        {"integer_object_nulls": True},
        {"types_mapper": lambda _: None},
        {"types_mapper": {pa.int64(): pd.Int64Dtype()}.get},
        {"types_mapper": pd.ArrowDtype},
        {"self_destruct": True},
    ],
)
def test_no_option_rounds(url, options):
    am.append(url, pa.table({"id": [BIG, None], "s": [{"x": BIG}, None], "l": [[BIG, None], None]}))
    frame = am.Table.open(url).to_pandas(**options)
    assert int(frame["id"][0]) == BIG
    assert frame["s"][0]["x"] == BIG
    assert next(iter(frame["l"][0])) == BIG


@pytest.mark.parametrize("backend", [None, "numpy_nullable", "pyarrow"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.struct([("x", pa.int64())]), {"x": BIG}),
        (pa.list_(pa.int64()), [BIG, None]),
        (pa.struct([("s", pa.struct([("x", pa.int64())]))]), {"s": {"x": BIG}}),
        (pa.list_(pa.struct([("x", pa.int64())])), [{"x": BIG}, None]),
        (pa.map_(pa.string(), pa.int64()), [("a", BIG), ("b", None)]),
    ],
)
def test_nested_integers_are_not_rounded(url, kind, value, backend):
    am.append(url, pa.table({"v": pa.array([None, value], kind)}))
    found = am.pandas.read_table(url, dtype_backend=backend)["v"]
    assert pa.array(found, kind).to_pylist() == [None, value]


def test_integers_of_an_index_are_not_rounded(url):
    frame = pd.DataFrame({"v": [1]}, index=pd.Index([BIG], name="id"))
    frame.atomic.append(url)
    am.append(url, pa.table({"id": pa.array([None], pa.int64()), "v": [2]}))
    index = am.pandas.read_table(url).index
    assert (int(index[0]), index.name, index.isna().tolist()) == (BIG, "id", [False, True])


MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.struct([("t", pa.timestamp("us", "UTC"))]), {"t": MOMENT}),
        (pa.list_(pa.decimal128(5, 2)), [Decimal("1.50")]),
        (pa.list_(pa.timestamp("us", "UTC")), [MOMENT]),
        (pa.list_(pa.int64(), 2), [1, 2]),
        (pa.binary(3), b"abc"),
        (pa.map_(pa.string(), pa.int64()), [("a", 1)]),
        (pa.list_(pa.int64()), [1]),
        (pa.large_list(pa.string()), ["a"]),
        (pa.struct([("a", pa.int64())]), {"a": 1}),
        (
            pa.struct([("d", pa.decimal128(5, 2)), ("l", pa.list_(pa.date32()))]),
            {"d": None, "l": []},
        ),
        (pa.timestamp("us", "Europe/Berlin"), MOMENT),
    ],
    ids=str,
)
def test_dtypes_of_arrow_come_back(url, kind, value):
    column = pd.Series([value, None], dtype=pd.ArrowDtype(kind))
    pd.DataFrame({"v": column}).atomic.append(url)
    found = am.pandas.read_table(url)["v"]
    assert found.dtype == column.dtype
    assert found.array.__arrow_array__().equals(column.array.__arrow_array__())
    assert am.pandas.read_table(url, columns=["v"])["v"].dtype == column.dtype


def test_a_table_made_by_create_remembers_the_frame_of_its_schema(url):
    frame = pd.DataFrame(
        {"id": pd.array([1, None], "Int64"), "c": pd.Categorical(["a", "b"]), "t": [1, 2]}
    ).set_index("t")
    am.Table.create(
        url, pa.Schema.from_pandas(frame, preserve_index=True), configuration={"mine": "1"}
    )
    frame.atomic.append(url)
    pd.testing.assert_frame_equal(am.pandas.read_table(url), frame)
    assert am.Table.open(url).configuration["mine"] == "1"


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ([0], "column 0 is"),
        ([1.5], "column 1.5"),
        ([dt.date(2026, 1, 1)], r"column datetime.date\(2026, 1, 1\)"),
        ([pd.Timestamp("2026-01-01")], "column Timestamp"),
        (pd.MultiIndex.from_tuples([("a", "x")]), r"column \('a', 'x'\)"),
        ([None], "column None"),
    ],
)
def test_labels_that_are_no_text_are_refused_as_those_of_mappings_are(url, columns, named):
    frame = pd.DataFrame([[1]], columns=columns)
    for data in (frame, [frame], iter([frame])):
        with pytest.raises(DataError, match=f"{named}.* called by no text: rename it"):
            am.append(url, data)
    with pytest.raises(DataError, match=named):
        frame.atomic.append(url)
    assert not am.Table.exists(url)


def test_levels_of_an_index_that_are_called_by_no_text_are_refused(url):
    frame = pd.DataFrame({"a": [1]}, index=pd.Index([5], name=7))
    with pytest.raises(DataError, match="column 7 is called by no text"):
        frame.atomic.append(url)
    frame.atomic.append(url, index=False)
    assert am.pandas.read_table(url).columns.tolist() == ["a"]


def test_an_unnamed_level_is_written_as_before(url):
    frame = pd.DataFrame({"a": [1]}, index=[5])
    frame.atomic.append(url, index=True)
    pd.testing.assert_frame_equal(am.pandas.read_table(url), frame)


@pytest.mark.parametrize("first", ["frame", "arrow"])
def test_columns_that_a_merge_adds_are_remembered(url, first):
    frame = pd.DataFrame({"a": pd.array([1], "Int64")})
    am.append(url, frame if first == "frame" else pa.table({"a": [1]}))
    more = pd.DataFrame(
        {
            "a": pd.array([2], "Int64"),
            "c": pd.Categorical(["x"]),
            "n": pd.array([True], "boolean"),
            "plain": [1.5],
            "at": pd.to_datetime(["2026-01-01"]).tz_localize("Europe/Berlin").as_unit("us"),
        }
    )
    more.atomic.append(url, schema_mode="merge")
    found = am.pandas.read_table(url).dtypes.astype(str).to_dict()
    assert found == {
        "a": "Int64" if first == "frame" else "int64",
        "c": "category",
        "n": "boolean",
        "plain": "float64",
        "at": "datetime64[us, Europe/Berlin]",
    }
    assert am.pandas.read_table(url)["c"].tolist()[1] == "x"


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", "int64[pyarrow]"])
def test_integers_of_an_index_of_a_nullable_dtype_are_not_rounded(url, dtype):
    index = pd.MultiIndex.from_arrays(
        [pd.array([2**53 + 1, None], dtype=dtype), ["x", "y"]], names=["id", "part"]
    )
    for number, levels in enumerate((index.droplevel("part"), index)):
        frame = pd.DataFrame({"a": [1, 2]}, index=levels)
        frame.atomic.append(f"{url}-{number}")
        for read in (
            am.Table.open(f"{url}-{number}").to_pandas(),
            am.pandas.read_table(f"{url}-{number}"),
        ):
            values = read.index.get_level_values("id")
            assert (values[0], values.isna().tolist()) == (2**53 + 1, [False, True])
            assert values.dtype == dtype
            assert read.columns.tolist() == ["a"]
