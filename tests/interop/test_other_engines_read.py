"""What we write, other engines read, with identical content."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

import atomic_manifest as am
from tests.interop.conftest import sorted_rows

pytestmark = pytest.mark.interop

EVERY_TYPE = pa.table(
    {
        "boolean": pa.array([True, False, None]),
        "byte": pa.array([-128, 127, None], pa.int8()),
        "short": pa.array([-(2**15), 2**15 - 1, None], pa.int16()),
        "integer": pa.array([-(2**31), 2**31 - 1, None], pa.int32()),
        "long": pa.array([-(2**63), 2**63 - 1, None], pa.int64()),
        "float": pa.array([1.5, -0.25, None], pa.float32()),
        "double": pa.array([1e300, -1e-300, None], pa.float64()),
        "decimal": pa.array([Decimal("-1.05"), Decimal("99999999.99"), None], pa.decimal128(10, 2)),
        "string": pa.array(["", "žluťoučký kůň 🐎", None]),
        "binary": pa.array([b"", b"\x00\xff", None], pa.binary()),
        "date": pa.array([date(1, 1, 1), date(2026, 11, 21), None]),
        "timestamp": pa.array(
            [datetime(1969, 12, 31, 23, 59, 59, 1, UTC), datetime(2026, 1, 1, tzinfo=UTC), None],
            pa.timestamp("us", "UTC"),
        ),
        "array": pa.array([[1, None], [], None], pa.list_(pa.int64())),
        "struct": pa.array(
            [{"a": 1, "b": "x"}, {"a": None, "b": None}, None],
            pa.struct([("a", pa.int64()), ("b", pa.string())]),
        ),
        "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    }
)


def test_every_type(tmp_path, read_by_another_engine):
    am.append(tmp_path / "t", EVERY_TYPE)
    read = read_by_another_engine(str(tmp_path / "t"))
    ours = am.Table.open(tmp_path / "t").to_arrow()
    assert ours.equals(EVERY_TYPE)
    assert sorted_rows(read.select(ours.column_names).cast(ours.schema)) == sorted_rows(ours)


def test_naive_timestamps(tmp_path, read_by_another_engine):
    data = pa.table({"at": pa.array([datetime(2026, 1, 1, 12, 30), None], pa.timestamp("us"))})
    am.append(tmp_path / "t", data)
    read = read_by_another_engine(str(tmp_path / "t"))
    assert sorted_rows(read.cast(data.schema)) == sorted_rows(data)


PARTITIONED = pa.table(
    {
        "text": ["a b", "x/y=z%41", "ü:?#", None, "'\"{}"],
        "day": pa.array([date(2026, 1, number) for number in range(1, 5)] + [None]),
        "flag": [True, False, None, True, False],
        "number": pa.array([1, -2, 3, None, 5], pa.int32()),
        "value": range(5),
    }
)


@pytest.mark.parametrize("partition_by", [["text"], ["day"], ["flag", "number"], ["text", "day"]])
def test_partition_values_of_every_kind(tmp_path, read_by_another_engine, partition_by):
    am.append(tmp_path / "t", PARTITIONED, partition_by=partition_by)
    read = read_by_another_engine(str(tmp_path / "t")).select(PARTITIONED.column_names)
    assert sorted_rows(read.cast(PARTITIONED.schema)) == sorted_rows(PARTITIONED)
    assert sorted_rows(am.Table.open(tmp_path / "t").to_arrow()) == sorted_rows(PARTITIONED)


def test_appends_overwrites_and_checkpoints(tmp_path, read_by_another_engine):
    table = am.Table.create(
        tmp_path / "t",
        pa.schema([("id", pa.int64()), ("part", pa.string())]),
        partition_by=["part"],
        configuration={"delta.checkpointInterval": "3"},
    )
    for number in range(4):
        table.append(pa.table({"id": [number, 100 + number], "part": ["a", "b"]}))
    table.overwrite(pa.table({"id": [7, 8], "part": ["a", "c"]}))
    table.append(pa.table({"id": [9], "part": ["c"]}))
    for version in range(6):  # what is left can only be read through the checkpoint
        (tmp_path / "t" / "_delta_log" / f"{version:020}.json").unlink()
    read = read_by_another_engine(str(tmp_path / "t"))
    assert sorted(read["id"].to_pylist()) == [7, 8, 9]


def test_write_dataset(tmp_path, read_by_another_engine):
    for part, behavior in (("a", "error"), ("b", "overwrite_or_ignore"), ("a", "delete_matching")):
        data = pa.table({"part": [part], "behavior": [behavior]})
        am.write_dataset(
            data, tmp_path / "t", partitioning=["part"], existing_data_behavior=behavior
        )
    read = read_by_another_engine(str(tmp_path / "t"))
    assert sorted(zip(read["part"].to_pylist(), read["behavior"].to_pylist(), strict=True)) == [
        ("a", "delete_matching"),
        ("b", "overwrite_or_ignore"),
    ]
