"""The table that the modelled writers commit to, and what they want to do with it.

A file's name says which rows it holds: `a+b` holds the rows `a` and `b`; the row `a@7` has the id 7, the
row `a` the id 0. So a reader of the log can tell what a query would have returned at any version,
without any data. Files whose rows all name their ids have statistics.
"""

import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec

from atomic_manifest.commit.intent import (
    NO_TABLE,
    Intent,
    Isolation,
    ReadNothing,
    ReadPartitions,
    ReadRows,
    ReadSet,
    ReadTable,
)
from atomic_manifest.log.actions import Action, Add, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.entry import Entry, encode
from atomic_manifest.log.pruning.predicate import Comparison, Operator, Predicate

METADATA = Metadata(id="table", schema_string="id, p", partition_columns=["p"])
PROTOCOL = Protocol(min_reader_version=1, min_writer_version=2)
TYPES = {"id": "long", "p": "string"}
"""Delta's types of the columns."""

Transaction: TypeAlias = tuple[str, int]
"""(application id, version)."""


def rows_of(path: str) -> list[str]:
    """The rows of the file at `path`."""
    return path.split("+")


def id_of(row: str) -> int:
    """The id of a row."""
    return int(row.partition("@")[2] or 0)


def _stats_of(path: str) -> str | None:
    rows = rows_of(path)
    if not all("@" in row for row in rows):
        return None
    ids = [id_of(row) for row in rows]
    bounds = {"minValues": {"id": min(ids)}, "maxValues": {"id": max(ids)}, "nullCount": {"id": 0}}
    return json.dumps({"numRecords": len(rows), **bounds})


def add(path: str, p: str = "1", *, data_change: bool = True) -> Add:
    """Add the file at `path` to partition `p`."""
    return Add(
        path=path,
        partition_values={"p": p},
        size=1,
        modification_time=0,
        data_change=data_change,
        stats=_stats_of(path),
    )


def remove(path: str, p: str = "1", *, data_change: bool = True) -> Remove:
    """Remove the file at `path` from partition `p`."""
    return Remove(
        path=path, partition_values={"p": p}, data_change=data_change, stats=_stats_of(path)
    )


FIRST_ENTRY = encode([PROTOCOL, METADATA, add("a"), add("b"), add("c", "2")])
"""Version 0: two files in one partition, one in another."""


def partition(p: str = "1") -> ReadPartitions:
    """All rows of partition `p` were read."""
    return ReadPartitions(frozenset({frozenset({("p", p)})}))


def ids(op: Operator, value: int) -> ReadRows:
    """All rows were read whose id compares so with `value`."""
    return ReadRows(Comparison("id", op, value), TYPES)


def of_table(wanted: Intent, id: str) -> Intent:
    """The same, for a table of another id that was made in the place of this one."""
    metadata = wanted.base_metadata or METADATA
    return replace(wanted, base_metadata=msgspec.structs.replace(metadata, id=id))


def intent(
    name: str,
    *actions: Action,
    reads: ReadSet | None = None,
    isolation: Isolation = Isolation.SERIALIZABLE,
    txn: Transaction | None = None,
    base: int = 0,
) -> Intent:
    """What the writer `name` wants, having seen version `base`."""
    if txn is not None:
        actions = (Txn(app_id=txn[0], version=txn[1]), *actions)
    return Intent(
        commit_id=name,
        base_version=base,
        actions=actions,
        operation="WRITE",
        reads=reads or ReadNothing(),
        isolation=isolation,
        txn=txn,
        base_metadata=METADATA if base != NO_TABLE else None,
        base_protocol=PROTOCOL if base != NO_TABLE else None,
    )


def append(name: str, p: str = "1", txn: Transaction | None = None, *, base: int = 0) -> Intent:
    """Add a file."""
    return intent(name, add(f"from-{name}", p), txn=txn, base=base)


def append_id(name: str, row_id: int) -> Intent:
    """Add a file whose statistics say that its only row has this id."""
    return intent(name, add(f"from-{name}@{row_id}"))


def delete(name: str, path: str = "a") -> Intent:
    """Delete the rows of one file, having read its partition to find them."""
    return intent(name, remove(path), reads=partition())


def delete_ids(name: str, op: Operator, value: int, *paths: str) -> Intent:
    """Delete the rows whose id compares so with `value`, which are those of the files at `paths`."""
    return intent(name, *map(remove, paths), reads=ids(op, value))


def drop_file(name: str, path: str = "a") -> Intent:
    """Remove one file without having read anything else."""
    return intent(name, remove(path))


def compact(name: str) -> Intent:
    """Rewrite two files as one: the rows stay."""
    return intent(
        name,
        remove("a", data_change=False),
        remove("b", data_change=False),
        add("a+b", data_change=False),
    )


def overwrite_partition(name: str, isolation: Isolation = Isolation.SERIALIZABLE) -> Intent:
    """Replace all rows of partition 1."""
    return intent(
        name,
        remove("a"),
        remove("b"),
        add(f"from-{name}"),
        reads=partition(),
        isolation=isolation,
    )


def overwrite_table(name: str) -> Intent:
    """Replace all rows."""
    return intent(
        name,
        remove("a"),
        remove("b"),
        remove("c", "2"),
        add(f"from-{name}"),
        reads=ReadTable(),
    )


def change_schema(name: str, isolation: Isolation = Isolation.SERIALIZABLE) -> Intent:
    """Replace the rows and the schema together."""
    return intent(
        name,
        Metadata(id="table", schema_string=f"schema of {name}", partition_columns=["p"]),
        remove("a"),
        remove("b"),
        remove("c", "2"),
        add(f"from-{name}"),
        reads=ReadTable(),
        isolation=isolation,
    )


def create(name: str) -> Intent:
    """Create the table with one file in it."""
    return intent(name, PROTOCOL, METADATA, add(f"from-{name}"), base=NO_TABLE)


@dataclass(frozen=True)
class Contents:
    """What the table holds at one version.

    Attributes:
        schema: Its schema; empty before there is a table.
        files: Partition by path.
    """

    schema: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def rows(self, reads: ReadTable | ReadPartitions | ReadRows) -> frozenset[str]:
        """The rows that a read returns."""
        return frozenset(
            row
            for path, p in self.files.items()
            for row in rows_of(path)
            if _is_read(row, p, reads)
        )

    def after(self, entry: Entry) -> "Contents":
        """What it holds once `entry` has taken effect."""
        files = dict(self.files)
        for removed in entry.removes:
            files.pop(removed.path, None)
        for added in entry.adds:
            files[added.path] = added.partition_values["p"] or ""
        after = replace(self, files=files)
        return replace(after, schema=entry.metadata.schema_string) if entry.metadata else after


_OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _is_read(row: str, p: str, reads: ReadTable | ReadPartitions | ReadRows) -> bool:
    match reads:
        case ReadTable():
            return True
        case ReadPartitions(partitions):
            return frozenset({("p", p)}) in partitions
        case ReadRows(predicate):
            return _matches(predicate, row)


def _matches(predicate: Predicate, row: str) -> bool:
    match predicate:
        case Comparison("id", op, value):
            return bool(_OPERATORS[op](id_of(row), value))
    raise ValueError(f"the model has no rows for {predicate}")


def overwrite(
    name: str,
    p: str,
    base: int,
    contents: Contents,
    isolation: Isolation = Isolation.SERIALIZABLE,
    txn: Transaction | None = None,
) -> Intent:
    """Replace all rows of partition `p` as the table holds them at version `base`."""
    files = sorted(path for path, at in contents.files.items() if at == p)
    removed = [remove(path, p) for path in files]
    return intent(
        name,
        *removed,
        add(f"from-{name}", p),
        reads=partition(p),
        isolation=isolation,
        txn=txn,
        base=base,
    )


def overwrite_again(name: str, base: int, contents: Contents) -> Intent:
    """Plan `overwrite_partition` again, on what the table holds at version `base`."""
    return overwrite(name, "1", base, contents)
