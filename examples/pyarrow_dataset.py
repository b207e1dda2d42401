"""`pyarrow.dataset.write_dataset`, but atomic: replace one partition while others read.

python examples/pyarrow_dataset.py [table]
"""

import sys
import tempfile

import pyarrow as pa
import pyarrow.compute as pc

import atomic_manifest as am


def day(date: str, trips: list[int]) -> pa.Table:
    return pa.table({"day": [date] * len(trips), "trips": trips})


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.mkdtemp()}/trips"
    am.write_dataset(day("2026-01-01", [1, 2, 3]), url, partitioning=["day"])
    am.write_dataset(
        day("2026-01-02", [4, 5]),
        url,
        partitioning=["day"],
        existing_data_behavior="overwrite_or_ignore",
    )
    before = am.Table.open(url)
    am.write_dataset(
        day("2026-01-01", [10]),
        url,
        partitioning=["day"],
        existing_data_behavior="delete_matching",
    )
    after = am.Table.open(url)
    print("before:", before.to_arrow()["trips"].to_pylist())
    print("after: ", after.to_arrow()["trips"].to_pylist())
    assert pc.sum(before.to_arrow()["trips"]).as_py() == 15
    assert pc.sum(after.to_arrow()["trips"]).as_py() == 19
    first_day = after.to_dataset().to_table(filter=pc.field("day") == "2026-01-01")
    print("2026-01-01 alone:", first_day["trips"].to_pylist())


if __name__ == "__main__":
    main()
