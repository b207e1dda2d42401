"""Queries of DuckDB, Polars and pyarrow on `to_dataset()` open only the files that they need: counted."""

import datetime as dt
import importlib.util
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import atomic_manifest as am
from atomic_manifest.data.read.reader import to_dataset
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver

ROWS = 2  # a file; there is one for each value, and one of nulls
FILES = 6
_MOMENT = dt.datetime(2026, 1, 1, 1, 2, 3, 4)
VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "int": (pa.int64(), [1, 2, 3, 4, 5]),
    "date": (pa.date32(), [dt.date(2026, 1, number) for number in range(1, 6)]),
    "string": (pa.string(), ["a", "b", "c", "d", "e"]),
    "decimal": (pa.decimal128(10, 2), [Decimal(number) / 4 for number in range(1, 6)]),
    "timestamp": (
        pa.timestamp("us", "UTC"),
        [_MOMENT.replace(day=number, tzinfo=dt.UTC) for number in range(1, 6)],
    ),
    "timestamp_ntz": (pa.timestamp("us"), [_MOMENT.replace(day=number) for number in range(1, 6)]),
}


class Query(NamedTuple):
    """A condition on `p`, as DuckDB, Polars and pyarrow say it, and how many values it leaves."""

    sql: str
    polars: Callable[[Any, list[Any]], Any]
    pyarrow: Callable[[Any, list[Any]], Any]
    left: int


def _same(sql: str, left: int, both: Callable[[Any, list[Any]], Any]) -> Query:
    return Query(sql, both, both, left)


QUERIES = {
    "one": _same("p = {1}", 1, lambda p, v: p == v[1]),
    "in": Query(
        "p IN ({1}, {3})",
        lambda p, v: p.is_in([v[1], v[3]]),
        lambda p, v: p.isin([v[1], v[3]]),
        2,
    ),
    "or": _same("p = {1} OR p = {3}", 2, lambda p, v: (p == v[1]) | (p == v[3])),
    "less": _same("p < {2}", 2, lambda p, v: p < v[2]),
    "between": _same("p BETWEEN {1} AND {3}", 3, lambda p, v: (p >= v[1]) & (p <= v[3])),
    "not one": _same("p != {1}", 4, lambda p, v: p != v[1]),
    "negated": _same("NOT (p = {1})", 4, lambda p, v: ~(p == v[1])),
    "not less": _same("NOT (p < {2})", 3, lambda p, v: ~(p < v[2])),
    "outside": _same("p < {1} OR p > {3}", 2, lambda p, v: (p < v[1]) | (p > v[3])),
    "nothing": _same("p > {1} AND p < {1}", 0, lambda p, v: (p > v[1]) & (p < v[1])),
    "not in": Query(
        "p NOT IN ({1}, {3}) AND p IS NOT NULL",
        lambda p, v: ~p.is_in([v[1], v[3]]) & p.is_not_null(),
        lambda p, v: ~p.isin([v[1], v[3]]) & p.is_valid(),
        3,
    ),
    "null": _same("p IS NULL", 1, lambda p, _: p.is_null()),
    "not null": Query("p IS NOT NULL", lambda p, _: p.is_not_null(), lambda p, _: p.is_valid(), 5),
}
_OF_NULLS = {"null": FILES, "not null": FILES}
_DECIMALS = dict.fromkeys(QUERIES, FILES)
# Here the engine keeps conditions to itself and asks for all rows: it opens so many files.
KEPT_BY_ENGINE: dict[tuple[str, str], dict[str, int]] = {
    **{("duckdb", kind): {"not in": FILES, **_OF_NULLS} for kind in VALUES},
    **{
        ("duckdb", kind): {"not in": FILES, **_OF_NULLS, "nothing": 0}
        for kind in ("timestamp", "timestamp_ntz")
    },
    ("duckdb", "decimal"): {**_DECIMALS, "nothing": 0},
    ("polars", "decimal"): {**_DECIMALS, "not in": 5, "null": 1, "not null": 5},
}


# Bounds of times have milliseconds, so these files may hold other times than the one they do.
KEPT_BY_MILLISECONDS = {
    "less": 3, "not one": 5, "negated": 5, "outside": 4, "nothing": 1, "not in": 5,
}  # fmt: skip


def needed(kind: str, layout: str, name: str) -> int:
    """How many files a query has to open."""
    coarse = layout == "statistics" and kind.startswith("timestamp")
    return (KEPT_BY_MILLISECONDS if coarse else {}).get(name, QUERIES[name].left)


def _literal(value: Any) -> str:
    """A value in the SQL of DuckDB."""
    match value:
        case dt.datetime():
            return f"TIMESTAMP{'TZ' if value.tzinfo else ''} '{value.isoformat()}'"
        case dt.date():
            return f"DATE '{value}'"
    return repr(value) if isinstance(value, str) else str(value)


def _duckdb(dataset: Any, query: Query, values: list[Any]) -> int:
    where = query.sql.format(*map(_literal, values))
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        return len(connection.execute(f"SELECT x FROM dataset WHERE {where}").fetchall())


def _polars(dataset: Any, query: Query, values: list[Any]) -> int:
    literals = [pl.lit(value) if isinstance(value, str) else value for value in values]
    condition = query.polars(pl.col("p"), values if " IN (" in query.sql else literals)
    return pl.scan_pyarrow_dataset(dataset).filter(condition).select("x").collect().height


def _pyarrow(dataset: Any, query: Query, values: list[Any]) -> int:
    return dataset.to_table(columns=["x"], filter=query.pyarrow(pc.field("p"), values)).num_rows


ENGINES = {"duckdb": _duckdb, "polars": _polars, "pyarrow": _pyarrow}
LAYOUTS = {"partitions": ["p"], "statistics": []}


def _filled(path: Any, kind: str, layout: str) -> CountingDriver:
    type_, values = VALUES[kind]
    repeated = [value for value in [*values, None] for _ in range(ROWS)]
    data = pa.table({"p": pa.array(repeated, type_), "x": range(len(repeated))})
    options = WriteOptions(max_rows_per_file=ROWS)
    am.append(path, data, partition_by=LAYOUTS[layout], options=options)
    return CountingDriver(LocalDriver(path))


@pytest.fixture(scope="module", params=[(k, y) for k in VALUES for y in LAYOUTS], ids="-".join)
def table(request, tmp_path_factory) -> tuple[str, str, CountingDriver]:
    kind, layout = request.param
    return kind, layout, _filled(tmp_path_factory.mktemp("pruning") / "t", kind, layout)


def opened(driver: CountingDriver) -> int:
    """How many data files were asked for since the last `clear`."""
    return len({each.path for each in driver.requests if each.path.endswith(".parquet")})


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_open_the_files_of_a_query_and_no_others(table, engine):
    kind, layout, driver = table
    store = ObjectStore(driver)
    snapshot, found, wanted = load(store), {}, {}
    for name, query in QUERIES.items():
        if (engine, kind, name) == ("duckdb", "timestamp", "in") and not _has_pytz():
            continue
        # A new dataset each time: one that was scanned knows the footers that it read.
        dataset = to_dataset(store, snapshot)
        driver.clear()
        rows = ENGINES[engine](dataset, query, VALUES[kind][1])
        found[name] = rows, opened(driver)
        kept = KEPT_BY_ENGINE.get((engine, kind), {})
        wanted[name] = query.left * ROWS, kept.get(name, needed(kind, layout, name))
    assert found == wanted


@pytest.mark.parametrize("name", QUERIES)
def test_a_filter_that_is_given_to_us_prunes_for_every_engine(table, name):
    kind, layout, driver = table
    store, query = ObjectStore(driver), QUERIES[name]
    texts = [
        str(value) if isinstance(value, int | Decimal) else f"'{value}'"
        for value in VALUES[kind][1]
    ]
    dataset = to_dataset(store, load(store), filter=query.sql.format(*texts))
    for engine in (
        lambda: duckdb.from_arrow(dataset).project("x").fetchall(),
        lambda: pl.scan_pyarrow_dataset(dataset).collect().rows(),
        lambda: dataset.to_table().to_pylist(),
    ):
        driver.clear()
        assert len(engine()) == query.left * ROWS
        # By the footers it read before, Arrow leaves out the more.
        assert query.left <= opened(driver) <= needed(kind, layout, name)


def _has_pytz() -> bool:
    """Whether DuckDB can give Python a time with a zone, which it does for the values of an IN."""
    return importlib.util.find_spec("pytz") is not None


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> CountingDriver:
    """300 partitions of one file."""
    path = tmp_path_factory.mktemp("many") / "t"
    data = pa.table({"p": range(300), "x": range(300)})
    am.append(path, data, partition_by=["p"])
    return CountingDriver(LocalDriver(path))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["one", "in", "between"])
def test_of_many_partitions_only_those_of_the_query_are_touched(many, engine, name):
    store = ObjectStore(many)
    dataset = to_dataset(store, load(store))
    many.clear()
    query, values = QUERIES[name], [110, 120, 121, 122, 130]
    assert ENGINES[engine](dataset, query, values) == query.left
    assert opened(many) == len(many.requests) == query.left
