"""Files have statistics of the columns that the table's properties say, and times in milliseconds."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.errors import DataError

NAMES, COUNT = "delta.dataSkippingStatsColumns", "delta.dataSkippingNumIndexedCols"
ROWS = pa.table(
    {
        "k": ["p"],
        "a": [1],
        "b": [2.0],
        "s": [{"x": 3, "y": {"z": "w"}, "x.y": 5}],
        "l": [[1]],
        "odd, name": [4],
        "quo`te": [5],
        "Last": [6],
    }
)


def statistics(table: am.Table) -> dict[str, Any]:
    (text,) = table.files()["stats"].to_pylist()
    found: dict[str, Any] = json.loads(text)
    return found


def written(root: Path, configuration: dict[str, str], **options: Any) -> am.Table:
    table = am.Table.create(root, ROWS.schema, partition_by=["k"], configuration=configuration)
    table.append(ROWS, **options)
    return table


@pytest.mark.parametrize(
    ("names", "minima"),
    [
        ("b", {"b": 2.0}),
        ("B , last", {"b": 2.0, "Last": 6}),
        ("a,s", {"a": 1, "s": {"x": 3, "y": {"z": "w"}, "x.y": 5}}),
        ("s.y", {"s": {"y": {"z": "w"}}}),
        ("s.y.z", {"s": {"y": {"z": "w"}}}),
        ("s.`x.y`", {"s": {"x.y": 5}}),
        ("`s`.`x`", {"s": {"x": 3}}),
        ("`odd, name`,a", {"a": 1, "odd, name": 4}),
        ("`quo``te`", {"quo`te": 5}),
        ("", {}),
    ],
)
def test_the_columns_that_are_named(tmp_path: Path, names: str, minima: dict[str, Any]) -> None:
    # It counts for more than the number.
    found = statistics(written(tmp_path, {NAMES: names, COUNT: "0"}))
    assert found["minValues"] == found["maxValues"] == minima
    assert found["numRecords"] == 1
    assert set(found["nullCount"]) == set(minima)


@pytest.mark.parametrize(
    ("count", "names"),
    [
        ("-1", {"a", "b", "s", "odd, name", "quo`te", "Last"}),
        ("0", set()),
        ("1", {"a"}),
        ("3", {"a", "b", "s"}),
        ("5", {"a", "b", "s"}),
        ("6", {"a", "b", "s"}),  # the list counts, and has none
        ("7", {"a", "b", "s", "odd, name"}),
    ],
)
def test_the_first_so_many(tmp_path: Path, count: str, names: set[str]) -> None:
    assert set(statistics(written(tmp_path, {COUNT: count}))["minValues"]) == names


def test_a_column_far_behind_and_the_default_of_32(tmp_path: Path) -> None:
    wide = pa.table({f"c{number}": [number] for number in range(38)})
    am.Table.create(tmp_path / "n", wide.schema, configuration={NAMES: "c36"}).append(wide)
    assert statistics(am.Table.open(tmp_path / "n"))["minValues"] == {"c36": 36}
    am.append(tmp_path / "d", wide)
    assert len(statistics(am.Table.open(tmp_path / "d"))["minValues"]) == 32


def test_an_option_of_the_write_wins(tmp_path: Path) -> None:
    table = written(tmp_path, {NAMES: "b"}, options=WriteOptions(indexed_columns=1))
    assert statistics(table)["minValues"] == {"a": 1}


def test_every_way_to_write_heeds_them(tmp_path: Path) -> None:
    table = am.Table.create(
        tmp_path, ROWS.schema, partition_by=["k"], configuration={NAMES: "b"}
    )  # fmt: skip

    def check() -> None:
        assert statistics(table.refresh())["minValues"] == {"b": 2.0}

    am.append(tmp_path, ROWS)
    check()
    table.overwrite(ROWS)
    check()
    table.overwrite(ROWS, where="a = 1")
    check()
    am.write_dataset(ROWS, tmp_path, partitioning=["k"], existing_data_behavior="delete_matching")
    check()
    table.append(ROWS.set_column(1, "a", pa.array([7])))
    table.run(lambda tx: (tx.delete("a = 7"), tx.delete("true"), tx.append(ROWS)))
    check()


def test_no_file_is_left_out_for_what_is_not_known(tmp_path: Path) -> None:
    table = written(tmp_path, {NAMES: "b"})
    assert table.to_arrow(filter="a = 1 AND b = 2").num_rows == 1
    assert table.to_arrow(filter="a = 2").num_rows == 0
    table.checkpoint()
    assert am.Table.open(tmp_path).to_arrow(filter="a = 1 AND s.x = 3").num_rows == 1
    assert am.Table.open(tmp_path).files("b > 2").num_rows == 0


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({NAMES: "nope"}, "dataSkippingStatsColumns: the table has no column 'nope'"),
        ({NAMES: "a,s.nope"}, "no column 's.nope'"),
        ({NAMES: "k"}, "no column 'k' that statistics are of"),
        ({COUNT: "many"}, "dataSkippingNumIndexedCols is a number of columns.*'many'"),
        ({COUNT: "-2"}, "'-2'"),
        ({COUNT: "9" * 5000}, "'9{40}'"),
    ],
)
def test_what_says_nothing_is_refused_of_a_new_table(
    tmp_path: Path, configuration: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        am.Table.create(tmp_path, ROWS.schema, partition_by=["k"], configuration=configuration)


@pytest.mark.parametrize(
    "configuration", [{NAMES: "nope,b"}, {NAMES: "b,`"}, {COUNT: "x" * 9}, {COUNT: "9" * 5000}]
)
def test_what_says_nothing_in_a_table_of_others_does_not_matter(
    tmp_path: Path, configuration: dict[str, str]
) -> None:
    deltalake.DeltaTable.create(
        tmp_path,
        pa.schema([("a", pa.int64()), ("b", pa.float64())]),
        configuration=configuration,
        raise_if_key_not_exists=False,
    )
    am.append(tmp_path, ROWS.select(["a", "b"]))
    assert statistics(am.Table.open(tmp_path))["minValues"]["b"] == 2.0


TIMES = [
    dt.datetime(2021, 1, 1, 0, 0, 55, 298677),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999001),
    dt.datetime(1700, 1, 1, 0, 0, 0, 1),
    dt.datetime(2021, 1, 1),
]


@pytest.mark.parametrize("when", TIMES, ids=str)
@pytest.mark.parametrize("zone", ["UTC", None])
def test_times_have_milliseconds_and_their_rows_are_found(
    tmp_path: Path, when: dt.datetime, zone: str | None
) -> None:
    when = when if zone is None else when.replace(tzinfo=dt.UTC)
    step = dt.timedelta(microseconds=1)
    kind = pa.timestamp("us", zone)
    am.Table.create(tmp_path, pa.schema([("ts", kind)]))
    table = am.Table.open(tmp_path)
    table.append(pa.table({"ts": pa.array([when, when + step], kind)}))
    found = statistics(table)
    low, high = found["minValues"]["ts"], found["maxValues"]["ts"]
    for text in (low, high):
        assert len(text.removesuffix("Z")) == len("2021-01-01T00:00:55.298")
        assert text.endswith("Z") == (zone is not None)
    assert dt.datetime.fromisoformat(low) <= when
    assert dt.datetime.fromisoformat(high) >= when + step
    table.checkpoint()
    for reader in (table, am.Table.open(tmp_path)):
        for op, count in (("=", 1), ("!=", 1), ("<=", 1), (">=", 2), ("<", 0), (">", 1)):
            assert reader.to_arrow(filter=[("ts", op, when)]).num_rows == count, op
        expression = pa.compute.field("ts") == pa.scalar(when, kind)
        assert reader.to_dataset().to_table(filter=expression).num_rows == 1
    others = deltalake.DeltaTable(tmp_path)
    assert others.to_pyarrow_table(filters=[("ts", "=", when)]).num_rows == 1
    assert table.delete([("ts", "=", when)]).rows_deleted == 1
    assert table.to_arrow()["ts"].to_pylist() == [when + step]
