from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa
import pytest


def sorted_rows(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=repr)


def read_deltalake(path: str) -> pa.Table:
    import deltalake

    return pa.table(deltalake.DeltaTable(path).to_pyarrow_dataset().to_table())


def read_polars(path: str) -> pa.Table:
    import polars as pl

    return pl.scan_delta(path).collect().to_arrow()


@cache
def duckdb_connection() -> Any:
    """One for the whole run: loading the extension takes longer than most queries."""
    duckdb = pytest.importorskip("duckdb")
    extensions = pytest.importorskip("duckdb_extensions")
    extensions.import_extension("delta")
    connection = duckdb.connect()
    connection.execute("load delta")
    connection.execute("set timezone = 'UTC'")
    return connection


def read_duckdb(path: str) -> pa.Table:
    with duckdb_connection().cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        return cursor.execute("select * from delta_scan(?)", [path]).to_arrow_table()


ENGINES: dict[str, Callable[[str], pa.Table]] = {
    "deltalake": read_deltalake,
    "polars": read_polars,
    "duckdb": read_duckdb,
}


@pytest.fixture(params=ENGINES)
def read_by_another_engine(request) -> Callable[[str], pa.Table]:
    return ENGINES[request.param]
