"""The serial order: what the table's log says was committed, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atomic_manifest.table import Table

OPERATION = "historyOperation"
"""The field of `commit_info` by which the log names operations."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One commit.

    Attributes:
        version: Of its entry.
        position: Within the entry, from 0.
        commit_id: Its id.
        operation: The operation it belongs to, if it says so.
        txn: (application id, version), if it has one.
        kind: What it did, in Delta's words.
    """

    version: int
    position: int
    commit_id: str
    operation: str | None = None
    txn: tuple[str, int] | None = None
    kind: str = "WRITE"


@dataclass(frozen=True, slots=True)
class Log:
    """The log, in order.

    Attributes:
        versions: Of the entries that are there.
        commits: In all of them.
        revoked: Ids that an entry declared never to be, with its version.
    """

    versions: tuple[int, ...]
    commits: tuple[Logged, ...]
    revoked: Mapping[str, int] = field(default_factory=dict)


def read_log(table: Table) -> Log:
    """Read the whole log of a table."""
    records = sorted(table.history(), key=lambda record: record.version)
    commits = tuple(
        Logged(
            record.version,
            position,
            commit.id,
            commit.info.get(OPERATION),
            commit.txn,
            commit.operation,
        )
        for record in records
        for position, commit in enumerate(record.commits)
    )
    revoked = {commit_id: record.version for record in records for commit_id in record.revoked}
    return Log(tuple(record.version for record in records), commits, revoked)
