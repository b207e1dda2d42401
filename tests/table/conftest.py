import json
from collections.abc import Callable

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.env import SYSTEM
from atomic_manifest.handle import Handle
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.driver import Driver

SCHEMA = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string())])


def rows(*ids: int) -> pa.Table:
    return pa.table(
        {"id": pa.array(ids, pa.int64()), "name": [f"row {number}" for number in ids]},
        schema=SCHEMA,
    )


def ids(table: am.Table) -> list[int]:
    return sorted(table.to_arrow(["id"])["id"].to_pylist())


@pytest.fixture
def table(tmp_path) -> am.Table:
    return am.Table.create(tmp_path / "t", SCHEMA)


@pytest.fixture
def table_on() -> Callable[[Driver], am.Table]:
    """A second handle on a table whose store is wrapped in another driver."""

    def make(driver: Driver, budget: Budget | None = None, env=SYSTEM) -> am.Table:
        store = ObjectStore(driver, env=env)
        budget = budget or Budget()
        return am.Table(Handle(store, load(store), env, budget), budget)

    return make


@pytest.fixture
def compact() -> Callable[[am.Table, str], None]:
    """Write a partition's files again as they are, in an entry that changes no data."""

    def rewrite(table: am.Table, day: str) -> None:
        files = am.Table.open(table.url).files().to_pylist()
        lines = []
        for file in files:
            if dict(file["partition_values"])["day"] != day:
                continue
            store = am.store.open_store(table.url)
            path = f"{file['path']}.compacted.parquet"
            store.put(path, store.get(file["path"]).data)
            common = {"partitionValues": {"day": day}, "dataChange": False, "size": file["size"]}
            add = {"path": path, "modificationTime": 0, "stats": file["stats"], **common}
            lines += [{"remove": {"path": file["path"], "deletionTimestamp": 1, **common}}]
            lines += [{"add": add}]
        entry = "\n".join(json.dumps(line) for line in lines).encode()
        store.put(f"_delta_log/{table.version + 1:020}.json", entry)

    return rewrite
