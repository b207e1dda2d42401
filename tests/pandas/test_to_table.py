"""`to_table`, `read_table` and `DataFrame.atomic`, as users of `to_parquet` and `read_parquet` use them."""

import inspect
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import atomic_manifest as am
import atomic_manifest.pandas
from atomic_manifest.errors import (
    DataError,
    InvalidFilter,
    SchemaMismatch,
    TableAlreadyExists,
    TableNotFound,
    VersionNotFound,
)

FRAME = pd.DataFrame({"day": ["mon", "mon", "tue"], "n": [1, 2, 3], "x": [0.5, None, 2.5]})


@pytest.fixture
def url(tmp_path):
    return tmp_path / "t"


def numbers(url):
    return sorted(am.read_table(url, columns=["n"])["n"].to_pylist())


def footers(url):
    return [pq.ParquetFile(path).metadata for path in url.rglob("*.parquet")]


# --- signatures ---


def test_the_arguments_are_those_that_users_of_to_parquet_know():
    ours = inspect.signature(am.pandas.to_table).parameters
    theirs = inspect.signature(pd.DataFrame.to_parquet).parameters
    assert set(theirs) - {"self"} <= set(ours)
    for name in ("index", "partition_cols", "storage_options", "filesystem"):
        assert ours[name].default == theirs[name].default


def test_the_arguments_are_those_that_users_of_read_parquet_know():
    ours = inspect.signature(am.pandas.read_table).parameters
    theirs = inspect.signature(pd.read_parquet).parameters
    assert set(theirs) - {"kwargs"} <= set(ours)


# --- writing ---


def test_to_table_makes_a_table_and_tells_of_the_commit(url):
    result = am.pandas.to_table(FRAME, url)
    assert (result.version, result.rows) == (0, 3)
    assert_frame_equal(am.pandas.read_table(url), FRAME)


def test_a_table_that_is_there_is_refused_by_default(url):
    am.pandas.to_table(FRAME, url)
    with pytest.raises(TableAlreadyExists, match="there is a table at"):
        am.pandas.to_table(FRAME, url)
    assert len(footers(url)) == 1


def test_a_repeated_txn_is_not_a_table_that_is_there(url):
    am.pandas.to_table(FRAME, url, txn=("job", 1))
    assert am.pandas.to_table(FRAME, url, txn=("job", 1)).already_committed


def test_of_two_creators_the_second_is_refused_and_its_file_goes(url, monkeypatch):
    from atomic_manifest import first_write

    real = first_write.stage

    def stage_while_another_creates(*args, **given):
        monkeypatch.setattr(first_write, "stage", real)
        am.append(url, FRAME)
        return real(*args, **given)

    monkeypatch.setattr(first_write, "stage", stage_while_another_creates)
    with pytest.raises(TableAlreadyExists):
        am.pandas.to_table(FRAME, url)
    assert numbers(url) == [1, 2, 3]
    assert len(footers(url)) == 1


def test_append_and_overwrite(url):
    for mode in ("append", "append", "overwrite"):
        am.pandas.to_table(FRAME, url, mode=mode)
    assert numbers(url) == [1, 2, 3]
    am.pandas.to_table(FRAME, url, mode="append")
    assert numbers(url) == [1, 1, 2, 2, 3, 3]


def test_partition_cols_partition_a_new_table(url):
    am.pandas.to_table(FRAME, url, partition_cols="day")
    assert am.Table.open(url).partition_columns == ("day",)
    am.pandas.to_table(FRAME, url, mode="append", partition_cols=["day"])
    with pytest.raises(SchemaMismatch, match="partitioned by"):
        am.pandas.to_table(FRAME, url, mode="append", partition_cols=["n"])
    with pytest.raises(SchemaMismatch, match="partitioned by"):
        am.pandas.to_table(FRAME, url, mode="overwrite", partition_cols=["n"])


@pytest.mark.parametrize(
    ("compression", "codec"), [("snappy", "SNAPPY"), ("gzip", "GZIP"), (None, "UNCOMPRESSED")]
)
def test_compression_and_arguments_of_pyarrow_reach_the_files(url, compression, codec):
    am.pandas.to_table(
        FRAME,
        url,
        engine="pyarrow",
        compression=compression,
        row_group_size=2,
        use_dictionary=False,
    )
    (footer,) = footers(url)
    assert footer.num_row_groups == 2
    column = footer.row_group(0).column(0)
    assert column.compression == codec
    assert "PLAIN_DICTIONARY" not in column.encodings


def test_schema_mode_adds_columns_when_appending(url):
    am.pandas.to_table(FRAME, url)
    more = FRAME.assign(new="y")
    am.pandas.to_table(more, url, mode="append", schema_mode="merge")
    assert am.Table.open(url).schema.names == ["day", "n", "x", "new"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "fastparquet"}, "engine is 'auto' or 'pyarrow', got 'fastparquet'"),
        ({"mode": "replace"}, "mode is 'append', 'overwrite' or 'error'"),
        ({"schema_mode": "merge"}, "schema_mode is for mode='append'"),
        ({"coerce_timestamps": "us"}, "coerce_timestamps is True or False"),
        ({"row_group_size": 0}, "max_rows_per_group"),
        ({"flavor": "spark"}, "'flavor' cannot be set"),
    ],
)
def test_an_argument_that_cannot_be_honoured_is_refused(url, given, message):
    with pytest.raises(DataError, match=message):
        am.pandas.to_table(FRAME, url, **given)
    assert not url.exists()


def test_only_frames_are_taken(url):
    with pytest.raises(DataError, match=r"not a pandas DataFrame: pyarrow\.lib\.Table"):
        am.pandas.to_table(pa.table({"a": [1]}), url)


# --- reading ---


@pytest.mark.parametrize(
    "filters",
    ["n >= 2", [("n", ">=", 2)], [[("n", "=", 2)], [("n", "=", 3)]], pc.field("n") >= 2],
    ids=["text", "tuples", "disjunction", "expression"],
)
def test_filters_of_every_kind(url, filters):
    am.pandas.to_table(FRAME, url, partition_cols=["day"])
    wanted = pa.Table.from_pandas(FRAME, preserve_index=False).filter(pc.field("n") >= 2)
    found = am.read_table(url, columns=["n", "day"], filters=filters).sort_by("n")
    assert found["n"].to_pylist() == wanted["n"].to_pylist()
    assert found.column_names == ["n", "day"]
    assert sorted(am.pandas.read_table(url, filters=filters)["n"]) == [2, 3]


def test_filters_mean_what_pyarrow_takes_them_to_mean(url, tmp_path):
    am.append(url, FRAME)
    FRAME.to_parquet(tmp_path / "f.parquet")
    for filters in ([("x", ">", 0)], [("day", "in", ["tue"])], [("n", "not in", [1])]):
        ours = am.read_table(url, columns=["n"], filters=filters)
        theirs = pq.read_table(tmp_path / "f.parquet", columns=["n"], filters=filters)
        assert ours["n"].to_pylist() == theirs["n"].to_pylist()


def test_older_versions_can_be_read(url):
    am.append(url, FRAME)
    am.append(url, FRAME)
    assert am.read_table(url, version=0).num_rows == 3
    assert len(am.pandas.read_table(url, version=0)) == 3
    with pytest.raises(VersionNotFound):
        am.read_table(url, version=9)


def test_what_is_not_there_is_named(url):
    with pytest.raises(TableNotFound, match="no Delta log"):
        am.pandas.read_table(url)
    am.append(url, FRAME)
    with pytest.raises(InvalidFilter, match="'y'"):
        am.read_table(url, filters=[("y", "=", 1)])


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_dtype_backends_are_those_of_read_parquet(url, tmp_path, backend):
    frame = FRAME.assign(b=[True, None, False], u=pd.array([1, 2, 3], dtype="uint8"))
    am.pandas.to_table(frame, url)
    frame.to_parquet(tmp_path / "f.parquet")
    ours = am.pandas.read_table(url, dtype_backend=backend)
    theirs = pd.read_parquet(tmp_path / "f.parquet", dtype_backend=backend)
    # Delta has one type of text where pandas writes the large one.
    plain = {"day": pd.ArrowDtype(pa.string())} if backend == "pyarrow" else {}
    assert_frame_equal(ours, theirs.astype(plain))


def test_a_types_mapper_chooses_dtypes(url):
    am.pandas.to_table(FRAME, url)
    found = am.pandas.read_table(url, types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    assert found["n"].dtype == "Int64"
    with pytest.raises(DataError, match="cannot both choose"):
        am.pandas.read_table(url, types_mapper=pd.ArrowDtype, dtype_backend="pyarrow")
    with pytest.raises(DataError, match="dtype_backend is"):
        am.pandas.read_table(url, dtype_backend="numpy")


def test_arguments_of_to_pandas_are_handed_on(url):
    am.pandas.to_table(FRAME, url)
    found = am.pandas.read_table(url, to_pandas_kwargs={"strings_to_categorical": True})
    assert isinstance(found["day"].dtype, pd.CategoricalDtype)


# --- the accessor ---


def test_the_accessor_appends_and_creates(url):
    assert FRAME.atomic.append(url, partition_by=["day"]).version == 0
    assert FRAME.atomic.append(url, txn=("a", 1)).version == 1
    assert FRAME.atomic.append(url, txn=("a", 1)).already_committed
    assert am.Table.open(url).partition_columns == ("day",)


def test_the_accessor_overwrites_all_some_or_some_partitions(url):
    tue = FRAME[FRAME["day"] == "tue"]
    FRAME.atomic.overwrite(url, partition_by=["day"])
    tue.assign(n=30).atomic.overwrite(url, partitions="dynamic")
    assert numbers(url) == [1, 2, 30]
    tue.assign(n=31).atomic.overwrite(url, where="day = 'tue'")
    assert numbers(url) == [1, 2, 31]
    tue.atomic.overwrite(url)
    assert numbers(url) == [3]


def test_an_overwrite_of_rows_of_a_table_that_is_not_there_creates_it(url, tmp_path):
    tue = FRAME[FRAME["day"] == "tue"]
    assert tue.atomic.overwrite(url, where="day = 'tue'").version == 0
    assert numbers(url) == [3]
    with pytest.raises(DataError, match="do not match `where`"):
        FRAME.atomic.overwrite(tmp_path / "u", where="day = 'tue'")
    with pytest.raises(DataError, match="no partition columns"):
        FRAME.atomic.overwrite(tmp_path / "u", partitions="dynamic")
    assert not am.Table.exists(tmp_path / "u")
    FRAME.atomic.overwrite(tmp_path / "u", partitions="dynamic", partition_by=["day"])
    assert numbers(tmp_path / "u") == [1, 2, 3]


def test_importing_the_module_registers_the_accessor_and_the_package_alone_does_not():
    code = (
        "import pandas, atomic_manifest\n"
        "assert not hasattr(pandas.DataFrame, 'atomic')\n"
        "import atomic_manifest.pandas\n"
        "assert pandas.DataFrame.atomic\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_importing_the_package_imports_neither_pandas_nor_pyarrow():
    code = "import atomic_manifest, sys; print({'pandas', 'pyarrow', 'rich'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_without_pandas_the_package_works_and_the_module_says_what_is_missing():
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pandas': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import atomic_manifest as am\n"
        "am.append('memory://no-pandas', {'a': [1]})\n"
        "assert am.read_table('memory://no-pandas').num_rows == 1\n"
        "try:\n"
        "    am.pandas\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error.name)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "pandas"
