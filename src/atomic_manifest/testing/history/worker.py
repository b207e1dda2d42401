"""One worker process: random operations on a table through the public API, each recorded.

Run as `python -m atomic_manifest.testing.history.worker`; the `Task` comes as one JSON line on standard
input (it may hold credentials, which do not belong on a command line), and the worker stops when standard
input ends. It may be killed at any time: what it was doing is in its journal.
"""

import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor  # noqa: TID251 - the main thread waits
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import AtomicManifestError, CommitOutcomeUnknown
from atomic_manifest.table import Table
from atomic_manifest.testing.env import FakeEnv
from atomic_manifest.testing.history.journal import (
    Ended,
    Invoked,
    Journal,
    Outcome,
    Prepared,
    Resolved,
)
from atomic_manifest.testing.history.log import OPERATION
from atomic_manifest.testing.history.steps import (
    COLUMNS,
    Append,
    Delete,
    Overwrite,
    OverwriteParts,
    Read,
    Row,
    Step,
    Where,
    as_text,
)
from atomic_manifest.testing.history.workload import AbandonedError, Look, Planned, Workload
from atomic_manifest.transaction import Transaction

SCHEMA = pa.schema(
    [pa.field("part", pa.string()), pa.field("key", pa.int64()), pa.field("value", pa.int64())]
)
VALUES = 100_000
"""So many values are kept for each thread of each process."""

LANES = 100
"""Threads of a process at most."""


class Task(msgspec.Struct, frozen=True):
    """What a worker has to do.

    Attributes:
        url: The table.
        storage_options: How to reach it.
        name: The process's name, and its journal's.
        app_id: Application id of its transactions, the same over the lives of a worker.
        journal: Where to record.
        seed: Of what it does.
        number: Of the process, over all.
        threads: How many share its handle.
        partitioned: Whether the table is.
        plain_reads: See `Workload`.
        attempts: PUTs of an entry for one commit at most.
        txns: By thread, the number of the transaction to give next.
        open_commits: Commits of the life before, of which nothing was told.
    """

    url: str
    storage_options: dict[str, Any]
    name: str
    app_id: str
    journal: str
    seed: int
    number: int
    threads: int = 1
    partitioned: bool = True
    plain_reads: bool = True
    attempts: int = 100
    txns: dict[int, int] = {}
    open_commits: list[str] = []


def to_arrow(rows: tuple[Row, ...]) -> pa.Table:
    """Rows as the library takes them."""
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], SCHEMA)


def to_rows(data: pa.Table) -> tuple[Row, ...]:
    """Rows as the library gives them, in an order that is theirs alone."""
    columns = [data.column(name).to_pylist() for name in COLUMNS]
    return tuple(sorted(zip(*columns, strict=True)))


class RecordedTransaction:
    """A transaction that remembers what it did.

    Attributes:
        steps: What it read and wrote so far.
    """

    def __init__(self, transaction: Transaction) -> None:
        self.steps: list[Step] = []
        self._transaction = transaction

    def read(self, where: Where) -> list[Row]:
        """See `Reads`."""
        rows = to_rows(self._transaction.read(filter=as_text(where)))
        self.steps.append(Read(where, rows))
        return [*rows]

    def append(self, *rows: Row) -> None:
        """See `Reads`."""
        self._transaction.append(to_arrow(rows))
        self.steps.append(Append(rows))

    def delete(self, where: Where) -> None:
        """See `Reads`."""
        self.steps.append(Delete(where, self._transaction.delete(as_text(where))))

    def overwrite(self, where: Where, *rows: Row) -> None:
        """See `Reads`."""
        self._transaction.overwrite(to_arrow(rows), where=as_text(where))
        self.steps.append(Overwrite(rows, where))

    def overwrite_parts(self, *rows: Row) -> None:
        """See `Reads`."""
        self._transaction.overwrite(to_arrow(rows), partitions="dynamic")
        self.steps.append(OverwriteParts(rows))


class Worker:
    """One thread's operations.

    Args:
        task: The process's task.
        thread: Number of the thread.
        table: The handle that all threads share.
        journal: Likewise.
    """

    def __init__(self, task: Task, thread: int, table: Table, journal: Journal) -> None:
        lane = task.number * LANES + thread
        self._task = task
        self._table = table
        self._journal = journal
        self._name = f"{task.name}.{thread}"
        self._app = f"{task.app_id}.{thread}"
        self._next_txn = task.txns.get(thread, 0)
        self._count = 0
        self._workload = Workload(
            FakeEnv(task.seed * 1_000_003 + lane).random,
            first_value=(lane + 1) * VALUES,
            partitioned=task.partitioned,
            plain_reads=task.plain_reads,
        )

    def do(self, planned: Planned) -> None:
        """Do one operation and record it."""
        self._count += 1
        name, txn = f"{self._name}.{self._count}", None
        if planned.with_txn:
            txn = (self._app, self._next_txn)
            self._next_txn += 1
        steps = (planned.does,) if isinstance(planned.does, Step) else None
        self._journal.write(Invoked(name, planned.kind, SYSTEM.monotonic(), txn, steps))
        unknown = None
        try:
            result = self._call(name, planned, txn)
        except (AtomicManifestError, AbandonedError) as error:
            unknown = error if isinstance(error, CommitOutcomeUnknown) else None
            outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
            told = f"{type(error).__name__}: {error}"
            end = Ended(name, SYSTEM.monotonic(), outcome, error=told)
        else:
            end = _ended(name, result)
        self._journal.write(end)
        if unknown is not None:
            self.resolve(unknown)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop, or an error that is none of the library's stops all threads."""
        try:
            while not stop.is_set():
                self.do(self._workload.next())
        finally:
            stop.set()

    def resolve(self, commit: str | CommitOutcomeUnknown) -> None:
        """Ask what became of a commit, and record the answer."""
        settle = self._workload.chance(0.5)
        try:
            found = self._table.resolve(commit, settle=settle)
        except AtomicManifestError:
            return  # the store has failed us, which says nothing
        commit_id = commit if isinstance(commit, str) else commit.commit_id
        self._journal.write(Resolved(commit_id, found.state.value, found.version, settle))

    # --- parts ---

    def _call(self, name: str, planned: Planned, txn: tuple[str, int] | None) -> CommitResult | int:
        """The library's result; for what commits nothing, the version that was seen."""
        info = {OPERATION: name}
        table = self._table
        match planned.does:
            case Append(rows):
                return table.append(to_arrow(rows), txn=txn, commit_info=info)
            case Delete(where):
                return table.delete(as_text(where), txn=txn, commit_info=info)
            case Overwrite(rows, where):
                data = to_arrow(rows)
                return table.overwrite(data, where=as_text(where), txn=txn, commit_info=info)
            case OverwriteParts(rows):
                data = to_arrow(rows)
                return table.overwrite(data, partitions="dynamic", txn=txn, commit_info=info)
            case Look() as look:
                return self._look(name, look)
            case _:
                return self._transact(name, planned, txn, info)

    def _look(self, name: str, look: Look) -> int:
        task = self._task
        table = Table.open(task.url, storage_options=task.storage_options)
        if look.back:
            version = max(0, table.version - look.back)
            table = Table.open(task.url, version=version, storage_options=task.storage_options)
        rows = to_rows(table.to_arrow(filter=as_text(look.where)))
        self._journal.write(Prepared(name, "", table.version, (Read(look.where, rows),)))
        return table.version

    def _transact(
        self, name: str, planned: Planned, txn: tuple[str, int] | None, info: Mapping[str, str]
    ) -> CommitResult | int:
        seen = 0

        def body(transaction: Transaction) -> None:
            nonlocal seen
            seen = transaction.version
            recorded = RecordedTransaction(transaction)
            assert callable(planned.does)
            planned.does(recorded)
            steps = tuple(recorded.steps)
            self._journal.write(Prepared(name, transaction.commit_id, seen, steps))

        if planned.again:
            result = self._table.run(body, txn=txn, commit_info=info).commit
        else:
            with self._table.transaction(txn=txn, commit_info=info) as transaction:
                body(transaction)
            result = transaction.result
        return seen if result is None else result


def _ended(name: str, result: CommitResult | int) -> Ended:
    now = SYSTEM.monotonic()
    if isinstance(result, int):
        return Ended(name, now, Outcome.OK, version=result)
    return Ended(
        name,
        now,
        Outcome.OK,
        commit_id=result.commit_id,
        version=result.version,
        rows_deleted=result.rows_deleted,
        already_committed=result.already_committed,
    )


def main() -> None:
    """Work until standard input ends."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    stop = threading.Event()

    def watch() -> None:
        # Past the buffer, whose lock would be in the way when the interpreter ends before the input.
        while os.read(0, 1):
            pass
        stop.set()

    threading.Thread(target=watch, daemon=True).start()  # noqa: TID251 - ends with the process
    budget = Budget(attempts=task.attempts)
    table = Table.open(task.url, storage_options=task.storage_options, budget=budget)
    with Journal(Path(task.journal)) as journal, ThreadPoolExecutor(task.threads) as pool:
        workers = [Worker(task, thread, table, journal) for thread in range(task.threads)]
        for commit_id in task.open_commits:
            workers[0].resolve(commit_id)
        for future in [pool.submit(worker.run, stop) for worker in workers]:
            future.result()


if __name__ == "__main__":
    main()
