"""Bounds of times whose zone had seconds in its offset, which writers cut off (Spark 3.2 and 3.3)."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import atomic_manifest as am
from atomic_manifest.errors import CommitConflict

AMSTERDAM = dt.datetime(1899, 12, 31, 23, 40, 28, tzinfo=dt.UTC)  # 1900-01-01, +00:19:32
CASES = {
    "plus": (AMSTERDAM, "1900-01-01T00:00:00.000+00:19"),
    "minus": (dt.datetime(1900, 1, 1, 0, 25, 21, tzinfo=dt.UTC), "1900-01-01T00:00:00.000-00:25"),
    "of 1971": (dt.datetime(1971, 1, 1, 0, 44, 30, tzinfo=dt.UTC), "1971-01-01T00:00:00.000-00:44"),
    "first": (dt.datetime(1, 1, 1, tzinfo=dt.UTC), "0001-01-01T00:00:00.000+00:00"),
    "last": (dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC), "9999-12-31T23:00:00.000-00:00"),
}


def add(root: Path, name: str, when: dt.datetime, text: str, **more: Any) -> dict[str, Any]:
    pq.write_table(pa.table({"id": [1], "ts": pa.array([when], UTC)}), root / name)
    bound = {"ts": text, "id": 1}
    stats = {"numRecords": 1, "minValues": bound, "maxValues": bound,
             "nullCount": {"ts": 0, "id": 0}}  # fmt: skip
    return {"path": name, "partitionValues": {}, "size": (root / name).stat().st_size,
            "modificationTime": 0, "dataChange": True, "stats": json.dumps(stats), **more}  # fmt: skip


UTC = pa.timestamp("us", "UTC")


def commit(root: Path, version: int, *adds: dict[str, Any]) -> None:
    text = "\n".join(json.dumps({"add": each}) for each in adds)
    (root / "_delta_log" / f"{version:020}.json").write_text(text + "\n")


def new(root: Path, configuration: dict[str, str] | None = None) -> None:
    schema = pa.schema([("id", pa.int64()), ("ts", UTC)])
    am.Table.create(root, schema, configuration=configuration)


@pytest.mark.parametrize(("when", "text"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("odd", ["", " "])  # what is unlike the others is parsed another way
@pytest.mark.parametrize("where", ["log", "checkpoint", "typed"])
def test_rows_are_found(tmp_path: Path, when: dt.datetime, text: str, odd: str, where: str) -> None:
    new(tmp_path, {"delta.checkpoint.writeStatsAsJson": "false"} if where == "typed" else None)
    first, other = (add(tmp_path, name, when, text) for name in ("f.parquet", "g.parquet"))
    other["stats"] = other["stats"].replace("}", "}" + odd)
    commit(tmp_path, 1, first, other)
    if where != "log":
        am.Table.open(tmp_path).checkpoint()
    table = am.Table.open(tmp_path)
    for rows_of in ([("ts", "=", when)], [("ts", ">=", when), ("ts", "<=", when)],
                   [("ts", "in", [when])]):  # fmt: skip
        assert table.to_arrow(filter=rows_of).num_rows == 2
        assert table.to_batches(filter=rows_of).read_all().num_rows == 2
        assert table.to_dataset().filter(_expression(when)).count_rows() == 2
    rows = {"id": [2], "ts": [when]}
    assert table.overwrite(rows, where=[("ts", "=", when)]).rows_deleted == 2
    assert table.to_arrow().num_rows == 1
    assert table.delete([("ts", "!=", when)]).rows_deleted == 0


def _expression(when: dt.datetime) -> Any:
    return pa.compute.field("ts") == pa.scalar(when, UTC)


def test_typed_bounds_that_lost_their_offset_are_no_better(tmp_path: Path) -> None:
    new(tmp_path, {"delta.checkpoint.writeStatsAsJson": "false"})
    # As a writer has them typed that read the cut text.
    commit(tmp_path, 1, add(tmp_path, "f.parquet", AMSTERDAM, "1899-12-31T23:41:00.000Z"))
    am.Table.open(tmp_path).checkpoint()
    (tmp_path / "_delta_log" / f"{0:020}.json").unlink()
    table = am.Table.open(tmp_path)
    assert table.to_arrow(filter=[("ts", "=", AMSTERDAM)]).num_rows == 1
    assert table.to_arrow(filter=[("ts", ">", dt.datetime(1950, 1, 1))]).num_rows == 0
    assert table.files([("ts", ">", dt.datetime(1950, 1, 1))]).num_rows == 0


def test_a_commit_meanwhile_conflicts_if_its_rows_may_match(tmp_path: Path) -> None:
    new(tmp_path)
    table = am.Table.open(tmp_path)

    def delete_beside_an_append() -> None:
        with table.transaction() as tx:
            tx.read(filter=[("ts", "=", AMSTERDAM)])
            tx.append({"id": [2], "ts": [AMSTERDAM]})
            tx.delete("id = 99")
            text = "1900-01-01T00:00:00.000+00:19"
            commit(tmp_path, 1, add(tmp_path, "f.parquet", AMSTERDAM, text))

    with pytest.raises(CommitConflict):
        delete_beside_an_append()
