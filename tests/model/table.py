"""The table that the modelled writers commit to, and what they want to do with it.

A file's name says which rows it holds: `a+b` holds the rows `a` and `b`. So a reader of the log can
tell what a query would have returned at any version, without any data.
"""

from atomic_manifest.commit.intent import (
    NO_TABLE,
    Intent,
    Isolation,
    ReadNothing,
    ReadPartitions,
    ReadSet,
    ReadTable,
)
from atomic_manifest.log.actions import Action, Add, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.entry import encode

METADATA = Metadata(id="table", schema_string="id, p", partition_columns=["p"])
PROTOCOL = Protocol(min_reader_version=1, min_writer_version=2)


def add(path: str, p: str = "1", *, data_change: bool = True) -> Add:
    return Add(
        path=path,
        partition_values={"p": p},
        size=1,
        modification_time=0,
        data_change=data_change,
    )


def remove(path: str, p: str = "1", *, data_change: bool = True) -> Remove:
    return Remove(path=path, partition_values={"p": p}, data_change=data_change)


FIRST_ENTRY = encode([PROTOCOL, METADATA, add("a"), add("b"), add("c", "2")])


def partition(p: str = "1") -> ReadPartitions:
    return ReadPartitions(frozenset({frozenset({("p", p)})}))


def intent(
    name: str,
    *actions: Action,
    reads: ReadSet | None = None,
    isolation: Isolation = Isolation.SERIALIZABLE,
    txn: tuple[str, int] | None = None,
    base: int = 0,
) -> Intent:
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


def append(name: str, p: str = "1", txn: tuple[str, int] | None = None) -> Intent:
    return intent(name, add(f"from-{name}", p), txn=txn)


def delete(name: str, path: str = "a") -> Intent:
    """Delete the rows of one file, having read its partition to find them."""
    return intent(name, remove(path), reads=partition())


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
    return intent(
        name,
        remove("a"),
        remove("b"),
        add(f"from-{name}"),
        reads=partition(),
        isolation=isolation,
    )


def overwrite_table(name: str) -> Intent:
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
    return intent(name, PROTOCOL, METADATA, add(f"from-{name}"), base=NO_TABLE)
