"""Tables of values that statistics have trouble with: written by us and by deltalake, and with statistics
as other engines write them."""

import datetime as dt
import functools
import json
import math
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa

import atomic_manifest as am

UTC = dt.UTC
_LONG = "x" * 31
_TIMES = [
    dt.datetime(1969, 12, 31, 23, 59, 59, 999_001),
    dt.datetime(1969, 12, 31, 23, 59, 59, 998_000),
    dt.datetime(1970, 1, 1),
    dt.datetime(1970, 1, 1, 0, 0, 0, 999),
    dt.datetime(2026, 1, 1, 0, 0, 0, 1_000),
    dt.datetime(2026, 1, 1, 0, 0, 0, 1_001),
]
VALUES: dict[str, list[Any]] = {
    "i8": [-128, -1, 0, 1, 127],
    "i64": [-(2**63), -5, 0, 7, 2**53 + 1, 2**63 - 1],
    "f32": [-math.inf, -0.0, 0.0, 0.1, 1.5, math.inf, math.nan],
    "f64": [-1.5, -0.0, 0.0, 0.1, 1e300, math.inf, math.nan],
    "dec": [Decimal("-9.99"), Decimal("0.00"), Decimal("1.10"), Decimal("9.99")],
    "wide": [Decimal("-123456789012345678901.0001"), Decimal("0.0000"), Decimal("0.1234"),
             Decimal("123456789012345678901.0002"), Decimal("9223372036854775807.0000")],
    "day": [dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(2026, 1, 1), dt.date(9999, 12, 31)],
    "at": [time.replace(tzinfo=UTC) for time in _TIMES],
    "ntz": _TIMES,
    "s": ["", "a", "ab", _LONG + "a", _LONG + "ab", _LONG + "\U0010ffff", _LONG + "é" * 3,
          "z\ufffd", "\U0010ffff" * 12],
    "bin": [b"", b"\x00", b"a", b"\xff" * 40],
    "yes": [False, True],
}  # fmt: skip
TYPES: dict[str, pa.DataType] = {
    "i8": pa.int8(),
    "i64": pa.int64(),
    "f32": pa.float32(),
    "f64": pa.float64(),
    "dec": pa.decimal128(3, 2),
    "wide": pa.decimal128(25, 4),
    "day": pa.date32(),
    "at": pa.timestamp("us", "UTC"),
    "ntz": pa.timestamp("us"),
    "s": pa.string(),
    "bin": pa.binary(),
    "yes": pa.bool_(),
}
NESTED = pa.struct([("n", pa.int64()), ("deep", pa.struct([("t", pa.string())]))])
SCHEMA = pa.schema([*TYPES.items(), ("st", NESTED), ("p", pa.string())])
PARTITION_TYPES = ("i8", "f64", "dec", "day", "at", "ntz", "s", "yes")
_FILES = 12
_ACTIONS = ("protocol", "metaData", "add")


def _rows(rng: random.Random, partition: str | None) -> list[dict[str, Any]]:
    """The rows of one file: few values a column, so that its bounds are narrow."""
    usual = {name: rng.choices([*values, None], k=2) for name, values in VALUES.items()}
    rows = []
    for _ in range(rng.randint(1, 4)):
        row: dict[str, Any] = {name: rng.choice(values) for name, values in usual.items()}
        text = rng.choice([None, {"t": row["s"]}])
        row["st"] = rng.choice([None, {"n": row["i64"], "deep": text}])
        rows.append(row)
    if partition is not None:
        value = rng.choice([value for value in [*VALUES[partition], None] if value != ""])
        rows = [{**row, partition: value} for row in rows]
    return rows


def _batches(seed: int, partition: str | None) -> list[pa.Table]:
    rng = random.Random(seed)
    return [pa.Table.from_pylist(_rows(rng, partition), schema=SCHEMA) for _ in range(_FILES)]


def _ours(url: str, partition: str | None = None, **configuration: str) -> None:
    names = [] if partition is None else [partition]
    properties = {"delta." + name.replace("_", "."): text for name, text in configuration.items()}
    table = am.Table.create(url, SCHEMA, partition_by=names, configuration=properties)
    for batch in _batches(1, partition):
        table.append(batch)


def _theirs(url: str, partition: str | None = None) -> None:
    names = None if partition is None else [partition]
    for batch in _batches(2, partition):
        deltalake.write_deltalake(url, batch, mode="append", partition_by=names)


def _actions(entry: Path) -> list[dict[str, Any]]:
    """The actions of an entry that make the table; without those that say it is ours."""
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    return [line for line in lines if not line.keys().isdisjoint(_ACTIONS)]


def _rewritten(url: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the statistics of a table's log."""
    for entry in Path(url, "_delta_log").glob("*.json"):
        lines = _actions(entry)
        for line in lines:
            if "add" in line:
                stats = change(json.loads(line["add"]["stats"]))
                line["add"]["stats"] = stats if stats is None else json.dumps(stats)
        entry.write_text("\n".join(map(json.dumps, lines)))


def _as_spark_does(stats: dict[str, Any]) -> dict[str, Any]:
    """Times cut to milliseconds, texts to 32 characters, the greatest with a tie-breaker."""
    for kind in ("minValues", "maxValues"):
        bounds = stats[kind]
        for name in ("at", "ntz"):
            if name in bounds:
                bounds[name] = bounds[name].removesuffix("Z")[:23] + "Z" * (name == "at")
        if len(bounds.get("s", "")) >= 32:
            bounds["s"] = bounds["s"][:31] + ("\ufffd" if kind == "maxValues" else "")
    return {**stats, "tightBounds": False}


def _as_kernels_do(stats: dict[str, Any]) -> dict[str, Any]:
    """Decimals through a 64-bit float."""
    for kind in ("minValues", "maxValues"):
        if "wide" in stats[kind]:
            stats[kind]["wide"] = float(stats[kind]["wide"])
    return stats


def _partial(stats: dict[str, Any]) -> dict[str, Any] | None:
    """This and that is missing, or no value of its type."""
    rng = random.Random(json.dumps(stats))
    for kind in ("minValues", "maxValues", "nullCount"):
        for name in list(stats[kind]):
            if rng.random() < 0.3:
                del stats[kind][name]
            elif rng.random() < 0.1:
                stats[kind][name] = rng.choice(["no", None, {"a": 1}, [1]])
    if rng.random() < 0.3:
        del stats[rng.choice(list(stats))]
    return None if rng.random() < 0.1 else stats


def _spark(url: str) -> None:
    _ours(url)
    _rewritten(url, _as_spark_does)


def _kernel(url: str) -> None:
    _ours(url)
    _rewritten(url, _as_kernels_do)


def _damaged(url: str) -> None:
    _ours(url)
    _rewritten(url, _partial)


def _typed_only(url: str) -> None:
    _ours(
        url,
        checkpoint_writeStatsAsJson="false",
        checkpoint_writeStatsAsStruct="true",
    )


def _renamed(type_: pa.DataType) -> pa.DataType:
    if not pa.types.is_struct(type_):
        return type_
    return pa.struct([(f"c_{field.name}", _renamed(field.type)) for field in type_])


def _restored(fields: list[dict[str, Any]], ids: Iterator[int]) -> None:
    """Name the fields of a schema's JSON otherwise than its files do."""
    for field in fields:
        field["metadata"] = {
            "delta.columnMapping.id": next(ids),
            "delta.columnMapping.physicalName": field["name"],
        }
        field["name"] = field["name"].removeprefix("c_")
        if isinstance(field["type"], dict):
            _restored(field["type"]["fields"], ids)


def _with_metadata(url: str, change: Callable[[dict[str, Any], list[dict[str, Any]]], Any]) -> Any:
    """The first entry's actions, with a change to the metadata and to the fields of its schema."""
    entry = Path(url, "_delta_log", f"{0:020}.json")
    lines = _actions(entry)
    for line in lines:
        if "metaData" in line:
            schema = json.loads(line["metaData"]["schemaString"])
            change(line["metaData"], schema["fields"])
            line["metaData"]["schemaString"] = json.dumps(schema)
    return lines


def _write_entry(url: str, version: int, actions: list[dict[str, Any]]) -> None:
    entry = Path(url, "_delta_log", f"{version:020}.json")
    entry.write_text("\n".join(map(json.dumps, actions)))


def _mapped(url: str) -> None:
    table = am.Table.create(
        url, pa.schema(list(_renamed(pa.struct(SCHEMA)))), partition_by=["c_day"]
    )
    for batch in _batches(1, "day"):
        table.append(_as_renamed(batch, table.schema))

    def change(metadata: dict[str, Any], fields: list[dict[str, Any]]) -> None:
        _restored(fields, count(1))
        metadata["partitionColumns"] = ["day"]
        metadata["configuration"] = {"delta.columnMapping.mode": "name"}

    actions = _with_metadata(url, change)
    for line in actions:
        if "protocol" in line:
            line["protocol"] = {"minReaderVersion": 2, "minWriterVersion": 5}
    _write_entry(url, 0, actions)


def _as_renamed(batch: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [column.combine_chunks() for column in batch.columns]
    structs = pa.StructArray.from_arrays(columns, fields=list(batch.schema))
    return pa.Table.from_struct_array(_retyped(structs, pa.struct(list(schema))))


def _retyped(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if not pa.types.is_struct(type_):
        return values
    children = [_retyped(values.field(n), type_.field(n).type) for n in range(type_.num_fields)]
    return pa.StructArray.from_arrays(children, fields=list(type_), mask=values.is_null())


_WIDENED = {"i8": ("byte", "long"), "f32": ("float", "double"), "day": ("date", "timestamp_ntz"),
            "dec": ("decimal(3,2)", "decimal(8,4)")}  # fmt: skip


def _widened(url: str) -> None:
    """Files and checkpoint are of the types that columns had before."""
    _ours(url)
    am.Table.open(url).checkpoint()

    def change(metadata: dict[str, Any], fields: list[dict[str, Any]]) -> None:
        for field in fields:
            if field["name"] in _WIDENED:
                old, field["type"] = _WIDENED[field["name"]]
                changes = [{"fromType": old, "toType": field["type"]}]
                field["metadata"] = {"delta.typeChanges": changes}
        metadata["configuration"] = {"delta.enableTypeWidening": "true"}

    actions = [line for line in _with_metadata(url, change) if "metaData" in line]
    features = {"readerFeatures": ["typeWidening", "timestampNtz"],
                "writerFeatures": ["typeWidening", "timestampNtz"]}  # fmt: skip
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    _write_entry(url, _FILES + 1, [{"protocol": protocol}, *actions])


PARTITIONED = {
    f"{name} by {column}": functools.partial(make, partition=column)
    for column in PARTITION_TYPES
    for name, make in (("ours", _ours), ("theirs", _theirs))
    if (name, column) != ("theirs", "dec")  # it writes negative ones as -9.-99
}
TABLES: dict[str, Callable[[str], None]] = {
    "ours": _ours,
    "theirs": _theirs,
    "spark's statistics": _spark,
    "statistics through floats": _kernel,
    "partial statistics": _damaged,
    "typed statistics only": _typed_only,
    "mapped": _mapped,
    "widened": _widened,
    **PARTITIONED,
}
