"""Proof that what the writers did is what they were asked to do.

Each check reads the table anew and shares no code with the commit path beyond decoding entries: the
replay is a plain fold over the log, file by file.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from atomic_manifest.cli.demo.flights import ROW
from atomic_manifest.log.entry import LOG_FOLDER, Entry, decode
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.table import Table


@dataclass(frozen=True, slots=True)
class Check:
    """One property, whether it holds, and what was seen."""

    name: str
    holds: bool
    seen: str


def verify(
    url: str,
    storage_options: Mapping[str, Any],
    source: pa.Table,
    expected: Sequence[tuple[str, int]],
) -> list[Check]:
    """Check the table against the source.

    Args:
        url: The table.
        storage_options: How to reach it.
        source: Every row that was to be ingested.
        expected: Every transaction that was to be committed.
    """
    store = open_store(url, storage_options)
    entries = list(read_log(store))
    table = Table.open(url, storage_options=storage_options)
    return [
        _gapless(entries, table),
        _every_commit_once(entries, expected),
        _every_row_once(table, source),
        _replay_equals_table(store, entries, table),
    ]


def read_log(store: ObjectStore) -> Iterator[Entry]:
    """Every entry that is there, in order of version."""
    for meta in store.list(LOG_FOLDER):
        name = meta.path.removeprefix(f"{LOG_FOLDER}/")
        if name.endswith(".json") and name.removesuffix(".json").isdecimal():
            yield decode(store.get(meta.path).data, int(name.removesuffix(".json")))


def replay(entries: Sequence[Entry]) -> list[str]:
    """The paths of the live files after applying the entries one after the other."""
    live: dict[str, None] = {}
    for entry in entries:
        for remove in entry.removes:
            live.pop(remove.path, None)
        for add in entry.adds:
            live[add.path] = None
    return list(live)


def _gapless(entries: Sequence[Entry], table: Table) -> Check:
    versions = [entry.version for entry in entries]
    holds = versions == list(range(table.version + 1))
    return Check("versions are gapless", holds, f"0 to {table.version}, {len(versions)} entries")


def _every_commit_once(entries: Sequence[Entry], expected: Sequence[tuple[str, int]]) -> Check:
    ids = Counter(record.id for entry in entries for record in entry.commits)
    txns = Counter((txn.app_id, txn.version) for entry in entries for txn in entry.txns)
    holds = txns == Counter(expected) and max(ids.values(), default=0) <= 1
    return Check(
        "every commit is in the log exactly once",
        holds,
        f"{len(txns)} transactions of {len(expected)}, {sum(txns.values())} records",
    )


def _every_row_once(table: Table, source: pa.Table) -> Check:
    columns = source.column_names
    rows = table.to_arrow(columns).sort_by(ROW)
    holds = rows.cast(source.schema).equals(source)
    return Check(
        "every row is there exactly once", holds, f"{rows.num_rows:,} of {source.num_rows:,}"
    )


def _replay_equals_table(store: ObjectStore, entries: Sequence[Entry], table: Table) -> Check:
    live = replay(entries)
    rows = sum(
        pq.read_metadata(
            pa.BufferReader(store.get(decode_file_path(path, version=None)).data)
        ).num_rows
        for path in live
    )
    same_files = sorted(live) == sorted(table.files()["path"].to_pylist())
    return Check(
        "serial replay of the log equals the table",
        same_files and rows == table.to_dataset().count_rows(),
        f"{len(live)} files, {rows:,} rows",
    )
