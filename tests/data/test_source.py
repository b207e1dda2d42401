import datetime as dt
import sys
from collections.abc import Iterator

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from atomic_manifest.data.input.source import open_source
from atomic_manifest.errors import DataError, SchemaMismatch

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
TABLE = pa.Table.from_pylist(ROWS)
ROW_TYPE = pa.array(ROWS).type


class OnlyStream:
    def __init__(self, inner: pa.Table) -> None:
        self.inner = inner

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.inner.__arrow_c_stream__(requested_schema)


class OnlyArray:
    def __init__(self, inner: pa.Array) -> None:
        self.inner = inner

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self.inner.__arrow_c_array__(requested_schema)


def from_disk(tmp_path) -> ds.Dataset:
    pq.write_table(TABLE, tmp_path / "x.parquet")
    return ds.dataset(tmp_path / "x.parquet")


INPUTS = {
    "table": lambda _: TABLE,
    "record batch": lambda _: TABLE.to_batches()[0],
    "reader": lambda _: TABLE.to_reader(),
    "dataset": from_disk,
    "filtered dataset": lambda tmp: from_disk(tmp).filter(ds.field("a") > 0),
    "scanner": lambda tmp: from_disk(tmp).scanner(),
    "arrow stream": lambda _: OnlyStream(TABLE),
    "arrow array": lambda _: OnlyArray(pa.array(ROWS)),
    "struct array": lambda _: pa.array(ROWS),
    "chunked struct array": lambda _: pa.chunked_array([pa.array([row], ROW_TYPE) for row in ROWS]),
    "pandas": lambda _: TABLE.to_pandas(),
    "polars": lambda _: pl.DataFrame(ROWS),
    "duckdb": lambda _: duckdb.from_arrow(TABLE),
    "mapping": lambda _: {"a": [1, 2], "b": ["x", None]},
    "list of batches": lambda _: TABLE.to_batches(max_chunksize=1),
    "generator of batches": lambda _: (batch for batch in TABLE.to_batches(max_chunksize=1)),
    "generator of tables": lambda _: (TABLE.slice(start, 1) for start in range(2)),
    "generator of frames": lambda _: (TABLE.slice(start, 1).to_pandas() for start in range(2)),
    "generator of polars frames": lambda _: (pl.DataFrame(ROWS[i : i + 1]) for i in range(2)),
    "tuple of readers": lambda _: (TABLE.to_reader(),),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input_gives_its_rows(kind: str, tmp_path) -> None:
    data = INPUTS[kind](tmp_path)
    # The second frame of the generator holds only nulls, so the schema has to be said.
    schema = TABLE.schema if "frames" in kind else None
    reader = open_source(data, schema=schema)
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.read_all().to_pylist() == ROWS


EMPTY = TABLE.slice(0, 0)


@pytest.mark.parametrize(
    "data",
    [
        EMPTY,
        EMPTY.to_reader(),
        EMPTY.to_pandas(),
        pl.DataFrame(schema={"a": pl.Int64, "b": pl.String}),
        {"a": [], "b": []},
        [EMPTY],
        [],
    ],
    ids=lambda data: type(data).__name__,
)
def test_input_may_hold_no_rows(data: object) -> None:
    reader = open_source(data, schema=EMPTY.schema)
    assert reader.schema.names == ["a", "b"]
    assert reader.read_all().num_rows == 0


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (1, "builtins.int"),
        (None, "builtins.NoneType"),
        ("a.parquet", "builtins.str"),
        (b"x", "builtins.bytes"),
        (object(), "builtins.object"),
        ([1, 2], "builtins.int"),
        ([{"a": 1}], "builtins.dict"),
        ([[TABLE]], "builtins.list"),
        (pa.array([1]), "pyarrow.lib.Int64Array"),
        (pd.Series([1]), "pandas.Series"),
        (pl.Series([1]), "polars.series.series.Series"),
        (pl.LazyFrame({"a": [1]}), "polars.lazyframe.frame.LazyFrame"),
        (pa.array([{"a": 1}, None]), "pyarrow.lib.StructArray"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "pandas.DataFrame"),
        (pd.DataFrame({"a": [1, "x"]}), "pandas.DataFrame"),
    ],
)
def test_unreadable_input_is_refused_by_type_name(data: object, name: str) -> None:
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        open_source(data)


def test_a_generator_is_pulled_only_as_it_is_read() -> None:
    pulled = []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(5):
            pulled.append(number)
            yield pa.record_batch({"a": [number]})

    reader = open_source(batches())
    assert pulled == [0]
    reader.read_next_batch()
    reader.read_next_batch()
    assert pulled == [0, 1]


def test_an_error_of_the_input_comes_through_as_it_is() -> None:
    class Broken(RuntimeError):
        pass

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"a": [1]})
        raise Broken("the disk is gone")

    with pytest.raises(Broken, match="disk"):
        open_source(batches()).read_all()


def test_an_empty_iterable_needs_a_schema() -> None:
    with pytest.raises(DataError, match="schema"):
        open_source([])
    assert open_source(iter([]), schema=TABLE.schema).read_all() == TABLE.slice(0, 0)


def test_elements_of_an_iterable_take_the_given_schema() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    elements = [{"a": pa.array([1], pa.int8()), "b": pa.nulls(1)}, {"b": ["y"], "a": [2]}]
    read = open_source(elements, schema=schema).read_all()
    assert read.schema == schema
    assert read.to_pylist() == [{"a": 1, "b": None}, {"a": 2, "b": "y"}]


def test_elements_that_drift_from_the_first_are_taken_if_every_value_fits() -> None:
    given = [{"a": [1]}, {"a": [2.0, None]}, {"a": pa.nulls(1)}, {"a": pa.array([3], pa.uint8())}]
    read = open_source(given).read_all()
    assert read.schema.field("a").type == pa.int64()
    assert read["a"].to_pylist() == [1, 2, None, None, 3]


def test_elements_that_drift_from_the_first_are_refused_by_column_and_row() -> None:
    reader = open_source([{"a": [1]}, {"a": [2.0, 7.5]}])
    with pytest.raises(
        DataError, match=r"'a': .* 7\.5\d* .*, in row 2 \(counted from 0\)"
    ) as caught:
        reader.read_all()
    assert caught.value.row == 2
    with pytest.raises(SchemaMismatch, match="'a' is int64, got string"):
        open_source([{"a": [1]}, {"a": ["x"]}]).read_all()


@pytest.mark.parametrize(
    "first",
    [
        pa.array(["a"]).dictionary_encode(),
        pc.run_end_encode(pa.array(["a"])),
        pa.array(["a"], pa.large_string()),
        pa.array(["a"], pa.string_view()),
        pa.array([["a"]], pa.large_list(pa.string())),
        pa.array([{"f": "a"}]),
    ],
    ids=lambda array: str(array.type),
)
def test_elements_in_another_layout_than_the_first_are_taken(first: pa.Array) -> None:
    value = first.to_pylist()[0]
    read = open_source([{"x": first}, {"x": pa.array([value, None])}]).read_all()
    assert read.schema.field("x").type == first.type
    assert read["x"].to_pylist() == [value, value, None]


def test_a_first_element_that_does_not_fit_the_schema_is_refused_at_once() -> None:
    with pytest.raises(SchemaMismatch, match="'z'"):
        open_source([{"z": [1]}], schema=TABLE.schema)


FRAME = pd.DataFrame({"a": [1, 2]})


@pytest.mark.parametrize(
    ("frame", "default", "all_levels"),
    [
        (FRAME, ["a"], ["a", "__index_level_0__"]),
        (FRAME.set_axis([5, 7]), ["a"], ["a", "__index_level_0__"]),
        (FRAME.set_axis([5, 7]).rename_axis("k"), ["a", "k"], ["a", "k"]),
        (FRAME.rename_axis("k"), ["a", "k"], ["a", "k"]),
        (
            FRAME.set_axis(pd.MultiIndex.from_tuples([(1, 2), (3, 4)], names=["k", None])),
            ["a", "k"],
            ["a", "k", "__index_level_1__"],
        ),
        (
            FRAME.set_axis(pd.MultiIndex.from_tuples([(1, 2), (3, 4)])),
            ["a"],
            ["a", "__index_level_0__", "__index_level_1__"],
        ),
    ],
    ids=["range", "unnamed", "named", "named range", "half-named levels", "unnamed levels"],
)
def test_index_of_a_frame(frame: pd.DataFrame, default: list[str], all_levels: list[str]) -> None:
    assert open_source(frame).schema.names == default
    assert open_source(frame, preserve_index=True).schema.names == all_levels
    assert open_source(frame, preserve_index=False).schema.names == ["a"]
    assert open_source([frame, frame]).schema.names == default


def test_a_big_frame_is_converted_piece_by_piece_to_the_same_rows() -> None:
    rows = (1 << 20) + 10
    frame = pd.DataFrame(
        {
            "a": pd.RangeIndex(rows).astype("int32"),
            "late": [None] * (rows - 1) + ["x"],
            "cat": pd.Categorical.from_codes([0] * (rows - 1) + [1], ["u", "v"]),
        },
        index=pd.RangeIndex(rows, name=None) * 2,
    ).rename_axis("k")
    frame.index = frame.index.astype("int64").rename("k") + 1
    reader = open_source(frame, preserve_index=True)
    batches = list(reader)
    assert len(batches) > 1
    read = pa.Table.from_batches(batches, schema=reader.schema)
    assert read["a"].to_pylist()[-1] == rows - 1
    assert read["late"].to_pylist()[-1] == "x"
    assert read["late"].null_count == rows - 1
    assert read["cat"].to_pylist()[-2:] == ["u", "v"]
    assert read["k"].to_pylist()[-1] == 2 * rows - 1


def test_pandas_is_not_imported_for_other_input() -> None:
    import subprocess

    code = (
        "import sys, pyarrow as pa\n"
        "from atomic_manifest.data.input.source import open_source\n"
        "table = pa.table({'a': pa.nulls(1)})  # to make arrays of values, pyarrow imports it\n"
        "open_source(table).read_all()\n"
        "assert 'pandas' not in sys.modules\n"
        "assert 'polars' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_types_of_polars_and_pandas_arrive_as_they_are() -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    polars = pl.DataFrame({"t": [moment], "s": ["x"], "l": [[1]]})
    read = open_source(polars)
    assert read.schema.field("t").type == pa.timestamp("us", "UTC")
    assert read.read_all().to_pylist() == [{"t": moment, "s": "x", "l": [1]}]


def test_objects_of_polars_are_refused_for_arrow_gets_only_their_addresses() -> None:
    frame = pl.DataFrame({"fine": [1], "x": pl.Series([object()], dtype=pl.Object)})
    for data in (frame, [frame]):
        with pytest.raises(DataError, match="column 'x'") as caught:
            open_source(data)
        assert caught.value.column == "x"
