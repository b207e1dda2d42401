"""Synthetic tables: a log of many files that are not there, for nothing measured here reads them."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

ENTRIES = 50  # below a hundred, so that no library finds a checkpoint due
FILES_PER_DAY = 1000
ROWS = 1000
START = date(2020, 1, 1)
SCHEMA = pa.schema(
    [
        ("day", pa.date32()),
        ("id", pa.int64()),
        ("amount", pa.float64()),
        ("name", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
_TYPES = {"day": "date", "id": "long", "amount": "double", "name": "string", "at": "timestamp"}


def day_of(number: int) -> date:
    """The partition of a file: files come day by day, as they do."""
    return START + timedelta(days=number // FILES_PER_DAY)


def make(folder: Path, files: int) -> None:
    """Write a log of `files` adds in `ENTRIES` entries, after the one that creates the table."""
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    _write(log, 0, [_protocol(), _metadata()])
    step = -(-files // ENTRIES)
    for version, first in enumerate(range(0, files, step), start=1):
        _write(log, version, map(_add, range(first, min(first + step, files))))


def linked(source: Path, target: Path) -> Path:
    """The same log for another library to go on from; its entries are never written again."""
    log = target / "_delta_log"
    log.mkdir(parents=True)
    for entry in (source / "_delta_log").iterdir():
        os.link(entry, log / entry.name)
    return target


def rows(number: int) -> pa.Table:
    """A small append; all of one day."""
    return pa.table(
        {
            "day": [START] * 10,
            "id": range(number * 10, number * 10 + 10),
            "amount": [0.5] * 10,
            "name": ["appended"] * 10,
            "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 10,
        },
        schema=SCHEMA,
    )


def _write(log: Path, version: int, actions: Iterator[Any] | list[Any]) -> None:
    with (log / f"{version:020}.json").open("w") as entry:
        entry.writelines(f"{json.dumps(action)}\n" for action in actions)


def _protocol() -> dict[str, Any]:
    return {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def _metadata() -> dict[str, Any]:
    fields = [
        {"name": name, "type": type_, "nullable": True, "metadata": {}}
        for name, type_ in _TYPES.items()
    ]
    return {
        "metaData": {
            "id": "5f1a1b5e-5c5e-4e5e-8e5e-5e5e5e5e5e5e",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": ["day"],
            "configuration": {},
            "createdTime": 1_577_836_800_000,
        }
    }


def _add(number: int) -> dict[str, Any]:
    day, first = day_of(number), number * ROWS
    seconds = number % FILES_PER_DAY * 86
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)
    low, high = ((at + timedelta(seconds=each)).isoformat()[:19] + ".000Z" for each in (0, 85))
    stats = {
        "numRecords": ROWS,
        "minValues": {"id": first, "amount": 0.25, "name": f"name-{first:012}", "at": low},
        "maxValues": {
            "id": first + ROWS - 1,
            "amount": 999.75,
            "name": f"name-{first + ROWS - 1:012}",
            "at": high,
        },
        "nullCount": {"id": 0, "amount": 0, "name": number % 7, "at": 0},
    }
    path = f"day={day}/part-{number:08}-{number * 2654435761 % 2**64:016x}-c000.zstd.parquet"
    return {
        "add": {
            "path": path,
            "partitionValues": {"day": str(day)},
            "size": 1_000_000 + number % 10_000,
            "modificationTime": int(at.timestamp() * 1000),
            "dataChange": True,
            "stats": json.dumps(stats, separators=(",", ":")),
        }
    }
