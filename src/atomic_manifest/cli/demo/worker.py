"""One writer process: appends its slices in order, each under its own transaction.

Run as `python -m atomic_manifest.cli.demo.worker`; the task comes as JSON on standard input (it may hold
credentials, which do not belong on a command line), and each acknowledged commit is a JSON line on
standard output. A writer that was killed is started again with the same task: what it had committed is
recognised by `txn`, wherever the kill hit. A slice below the one that the table records is there too:
nobody else writes under the application's id, and slices come in order.
"""

import sys
from typing import Any

import msgspec
import pyarrow as pa

from atomic_manifest.errors import TransactionOutOfOrder
from atomic_manifest.table import Table


class Task(msgspec.Struct, frozen=True):
    """What a writer has to do.

    Attributes:
        url: The table.
        storage_options: How to reach it.
        app_id: Application id of its transactions; the version is the slice's index.
        source: An Arrow IPC file with all rows.
        slices: (first row, row after the last) of each commit.
    """

    url: str
    storage_options: dict[str, Any]
    app_id: str
    source: str
    slices: list[tuple[int, int]]


class Commit(msgspec.Struct, frozen=True):
    """One acknowledged commit, as reported by a writer."""

    index: int
    version: int
    attempts: int
    already_committed: bool


def work(task: Task) -> None:
    """Append every slice, and report each."""
    with pa.memory_map(task.source) as file:
        rows = pa.ipc.open_file(file).read_all()
    table = Table.open(task.url, storage_options=task.storage_options)
    for index, (start, stop) in enumerate(task.slices):
        try:
            result = table.append(rows.slice(start, stop - start), txn=(task.app_id, index))
        except TransactionOutOfOrder:
            commit = Commit(index, table.version, attempts=0, already_committed=True)
        else:
            commit = Commit(index, result.version, result.attempts, result.already_committed)
        sys.stdout.write(msgspec.json.encode(commit).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    work(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))
