"""`Table`: the handle users hold.

A handle is a snapshot of the table that moves forward: with every commit made through it, and with
`refresh()`. Threads may share it; other processes open their own.

Error semantics: the input and the table's protocol are checked before anything is uploaded, as far as
they can be without reading all of the input. If an operation raises, nothing of it is in the log and
its files are gone, except with `CommitOutcomeUnknown`, which says that it may be there.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds

from atomic_manifest.commit.protocol import Budget
from atomic_manifest.commit.resolve import fence, resolve
from atomic_manifest.commit.result import CommitResult, Resolution, ResolutionState
from atomic_manifest.data.filters import Filter, to_expression
from atomic_manifest.data.options import WriteOptions
from atomic_manifest.data.reader import to_dataset
from atomic_manifest.data.source import open_source
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import (
    CommitOutcomeUnknown,
    DataError,
    TableAlreadyExists,
    TableNotFound,
)
from atomic_manifest.first_write import create, write_first
from atomic_manifest.handle import Handle
from atomic_manifest.log.checkpoint import write_checkpoint
from atomic_manifest.log.history import HistoryRecord, history, version_at
from atomic_manifest.log.snapshot import Snapshot, load
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.ops.overwrite import Overwrite
from atomic_manifest.ops.staged import Staged
from atomic_manifest.staging import WriteRequest, check_partitioning, stage
from atomic_manifest.store import ObjectStore, open_store

if TYPE_CHECKING:
    import pandas as pd

Url: TypeAlias = str | PathLike[str]


class Table:
    """A Delta table on an object store.

    Made by `Table.create` and `Table.open`. See the module docstring for what a handle is.
    """

    def __init__(self, handle: Handle, budget: Budget) -> None:
        self._handle = handle
        self._budget = budget

    # --- getting a handle ---

    @classmethod
    def create(
        cls,
        url: Url,
        schema: pa.Schema,
        *,
        partition_by: Sequence[str] = (),
        configuration: Mapping[str, str] | None = None,
        name: str | None = None,
        description: str | None = None,
        if_not_exists: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        env: Env = SYSTEM,
    ) -> Self:
        """Create an empty table. Of several that create it at once, exactly one does.

        Args:
            url: `s3://bucket/path`, `gs://`, `az://`, `file://`, a local path, or `memory://name`.
            schema: Columns, types and nullability. Types are stored as the Delta type they map to
                without loss (`large_string` as `string`, `timestamp[ns]` as `timestamp`).
            partition_by: Top-level columns to partition by, in order.
            configuration: Table properties, such as `{"delta.appendOnly": "true"}`.
            name: A name for the table, kept in its metadata.
            description: A description, kept in its metadata.
            if_not_exists: Open the table if it is already there, as it is, instead of raising.
            storage_options: Credentials and endpoint, under the names of s3fs or of deltalake.
            budget: Bounds on attempts and time of each commit through the handle.
            env: Clock, randomness and ids; for tests.

        Raises:
            TableAlreadyExists: It is there, and `if_not_exists` is false.
            InvalidSchema: A type that Delta lacks, duplicate names, unusable partition columns.
            UnsupportedTableFeature: A property asks for a feature that is not written here.
        """
        store = open_store(url, storage_options, env=env)
        budget = budget or Budget()
        spec = TableSpec(schema, tuple(partition_by), configuration or {}, name, description)
        created = create(store, spec, env=env, budget=budget)
        if not created and not if_not_exists:
            raise TableAlreadyExists(f"there is a table at {store.url}", url=store.url)
        return cls._load(store, None, env, budget)

    @classmethod
    def open(
        cls,
        url: Url,
        *,
        version: int | datetime | None = None,
        storage_options: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        env: Env = SYSTEM,
    ) -> Self:
        """Open a table.

        Args:
            url: As for `create`.
            version: A version, or a time (a naive one is local time) whose last commit is meant.
                None opens the latest.
            storage_options: As for `create`.
            budget: As for `create`.
            env: As for `create`.

        Raises:
            TableNotFound: There is no log at `url`.
            VersionNotFound: The log does not reach `version`.
            UnsupportedTableFeature: Reading the table needs a feature that is not there.
            CorruptLog: The log is damaged.
        """
        store = open_store(url, storage_options, env=env)
        number = _version_number(store, version)
        return cls._load(store, number, env, budget or Budget())

    @classmethod
    def exists(cls, url: Url, *, storage_options: Mapping[str, Any] | None = None) -> bool:
        """Whether there is a table at `url`."""
        try:
            load(open_store(url, storage_options))
        except TableNotFound:
            return False
        return True

    @classmethod
    def _load(cls, store: ObjectStore, version: int | None, env: Env, budget: Budget) -> Self:
        return cls(Handle(store, load(store, version=version), env, budget), budget)

    # --- what it is ---

    @property
    def url(self) -> str:
        """Where the table is; holds no secret."""
        return self._handle.store.url

    @property
    def version(self) -> int:
        """The version this handle sees."""
        return self._handle.snapshot.version

    @property
    def schema(self) -> pa.Schema:
        """The table's Arrow schema."""
        return self._handle.snapshot.schema

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """Names of the partition columns, in order."""
        return self._handle.snapshot.partition_columns

    @property
    def configuration(self) -> Mapping[str, str]:
        """The table's properties."""
        return self._handle.snapshot.configuration

    def __repr__(self) -> str:
        return f"Table({self.url!r}, version={self.version})"

    # --- writing ---

    def append(
        self,
        data: Any,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
    ) -> CommitResult:
        """Add rows. From an open handle: one PUT for the data, one for the log entry.

        Args:
            data: An Arrow table, batch, reader, dataset or scanner; anything with
                `__arrow_c_stream__` or `__arrow_c_array__`; a pandas frame; an iterable of these. Streams
                are never held whole. Columns go by name; missing nullable ones become null.
            txn: (application id, version). If the table already records this version of the
                application, or a later one, nothing is written and the result says
                `already_committed`.
            commit_info: Fields to keep with the commit, for `history()`.
            options: Parquet and file layout.
            preserve_index: Whether to write a pandas index, as in `pyarrow.Table.from_pandas`; an
                unnamed index is only written if True.
            coerce_timestamps: Truncate timestamps finer than microseconds instead of refusing them.

        Raises:
            SchemaMismatch, NullsInColumn, DataError: The data does not fit. Without `txn`, data
                without rows is refused too.
            CommitConflict: The table's schema or rules were changed meanwhile.
            CommitContended: Too many lost races; not in the log.
            CommitOutcomeUnknown: The store did not answer; `resolve` tells later.
        """
        request = _request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
        snapshot = self._handle.writable()
        if (done := self._handle.recorded(txn)) is not None:
            return done
        staged = self._stage(data, request, snapshot, preserve_index=preserve_index)
        if not staged.adds and txn is None:
            raise DataError("no rows to append")
        return self._handle.commit(Append(staged), snapshot, staged)

    def overwrite(
        self,
        data: Any,
        *,
        txn: tuple[str, int] | None = None,
        commit_info: Mapping[str, Any] | None = None,
        options: WriteOptions | None = None,
        preserve_index: bool | None = None,
        coerce_timestamps: bool = False,
    ) -> CommitResult:
        """Replace all rows of the table, in one commit; data without rows empties it.

        Of an overwrite and a concurrent append, either may come last in the log, and the table is what
        that order gives: an overwrite never fails because of rows it replaces.

        Args:
            data: As for `append`.
            txn: As for `append`.
            commit_info: As for `append`.
            options: As for `append`.
            preserve_index: As for `append`.
            coerce_timestamps: As for `append`.

        Raises:
            TableIsAppendOnly: The table forbids removing rows.
            DataError, CommitError: As for `append`.
        """
        request = _request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
        snapshot = self._handle.writable()
        if (done := self._handle.recorded(txn)) is not None:
            return done
        staged = self._stage(data, request, snapshot, preserve_index=preserve_index)
        return self._handle.commit(Overwrite(staged), snapshot, staged)

    def _stage(
        self, data: Any, request: WriteRequest, snapshot: Snapshot, *, preserve_index: bool | None
    ) -> Staged:
        reader = open_source(
            data,
            schema=snapshot.schema,
            preserve_index=preserve_index,
            coerce_timestamps=request.coerce_timestamps,
        )
        return stage(
            self._handle.store,
            self._handle.env,
            reader,
            schema=snapshot.schema,
            partition_by=snapshot.partition_columns,
            request=request,
        )

    # --- reading ---

    def to_dataset(self, filter: Filter = None) -> ds.Dataset:
        """The handle's version as a `pyarrow.dataset.Dataset`.

        Args:
            filter: An expression, or DNF tuples as in `pyarrow.parquet.read_table`; files of
                partitions that cannot match are left out.
        """
        snapshot = self._handle.snapshot
        return to_dataset(
            self._handle.store, snapshot, filter=to_expression(filter, snapshot.schema)
        )

    def to_arrow(self, columns: Sequence[str] | None = None, *, filter: Filter = None) -> pa.Table:
        """Read into memory.

        Args:
            columns: Which, in which order; None for all.
            filter: Only rows that match. As for `to_dataset`.
        """
        return self._scanner(columns, filter).to_table()

    def to_batches(
        self, columns: Sequence[str] | None = None, *, filter: Filter = None
    ) -> pa.RecordBatchReader:
        """Read as a stream of batches. Arguments as for `to_arrow`."""
        return self._scanner(columns, filter).to_reader()

    def to_pandas(
        self, columns: Sequence[str] | None = None, *, filter: Filter = None, **options: Any
    ) -> "pd.DataFrame":
        """Read into a pandas frame.

        Args:
            columns: As for `to_arrow`.
            filter: As for `to_arrow`.
            **options: For `pyarrow.Table.to_pandas`.
        """
        frame: pd.DataFrame = self.to_arrow(columns, filter=filter).to_pandas(**options)
        return frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface: `polars.DataFrame(table)` and the like."""
        return self.to_batches().__arrow_c_stream__(requested_schema)

    def files(self) -> pa.Table:
        """The data files of the handle's version: path, partition values, size, statistics, ..."""
        return self._handle.snapshot.files()

    def history(self, limit: int | None = None) -> Iterator[HistoryRecord]:
        """The commits in the log, the newest first; `limit` of them at most."""
        return history(self._handle.store, limit=limit)

    def _scanner(self, columns: Sequence[str] | None, filter: Filter) -> ds.Scanner:
        expression = to_expression(filter, self._handle.snapshot.schema)
        dataset = to_dataset(self._handle.store, self._handle.snapshot, filter=expression)
        names = list(columns) if columns is not None else None
        return dataset.scanner(columns=names, filter=expression)

    # --- the handle and its log ---

    def refresh(self) -> Self:
        """Move the handle to the latest version."""
        self._handle.refresh()
        return self

    def checkpoint(self) -> None:
        """Write a checkpoint of the handle's version, so that it opens fast."""
        write_checkpoint(self._handle.store, self._handle.snapshot)

    def resolve(self, commit: str | CommitOutcomeUnknown, *, settle: bool = False) -> Resolution:
        """What became of a commit whose outcome was unknown. Works from any process.

        Args:
            commit: The commit's id, or the error that was raised for it (which also knows where it may
                be, so that "not committed" can be told).
            settle: If it is not in the log, occupy the next version with an entry that changes
                nothing. Then no delayed request can land any more and the answer is final. Only for
                a commit whose writer has stopped trying.
        """
        unknown = commit if isinstance(commit, CommitOutcomeUnknown) else None
        commit_id = commit if isinstance(commit, str) else commit.commit_id
        store = self._handle.store
        found = resolve(store, commit_id, unknown.versions if unknown else None)
        if found.state is not ResolutionState.OPEN or not settle:
            return found
        version = fence(store, self._handle.env, self._budget, load(store))
        return resolve(store, commit_id, (version,))


def append(
    url: Url,
    data: Any,
    *,
    partition_by: Sequence[str] = (),
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
    options: WriteOptions | None = None,
    preserve_index: bool | None = None,
    coerce_timestamps: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    env: Env = SYSTEM,
) -> CommitResult:
    """Append to the table at `url`, creating it from the data if it is not there.

    The first commit creates the table and adds the rows in one entry. If several do so at once, one
    creates it and the others append to it.

    Args:
        url: As for `Table.create`.
        data: As for `Table.append`; its schema becomes the table's if the table is new.
        partition_by: For a new table; an existing one must have the same, unless left empty.
        txn: As for `Table.append`.
        commit_info: As for `Table.append`.
        options: As for `Table.append`.
        preserve_index: As for `Table.append`.
        coerce_timestamps: As for `Table.append`.
        storage_options: As for `Table.create`.
        env: As for `Table.create`.

    Raises:
        SchemaMismatch: The table is there with other partition columns.
        DataError, CommitError: As for `Table.append`.
    """
    request = _request(txn, commit_info, options, coerce_timestamps=coerce_timestamps)
    try:
        table = Table.open(url, storage_options=storage_options, env=env)
    except TableNotFound:
        reader = open_source(data, preserve_index=preserve_index)
        spec = TableSpec(reader.schema, tuple(partition_by))
        store = open_store(url, storage_options, env=env)
        return write_first(store, spec, reader, request, Append, env=env, budget=Budget())
    check_partitioning(table._handle.snapshot, partition_by)  # noqa: SLF001 - same module
    return table.append(
        data,
        txn=txn,
        commit_info=commit_info,
        options=options,
        preserve_index=preserve_index,
        coerce_timestamps=coerce_timestamps,
    )


def _request(
    txn: tuple[str, int] | None,
    commit_info: Mapping[str, Any] | None,
    options: WriteOptions | None,
    *,
    coerce_timestamps: bool,
) -> WriteRequest:
    return WriteRequest(
        txn=_checked_txn(txn),
        user_info=commit_info or {},
        options=options or WriteOptions(),
        coerce_timestamps=coerce_timestamps,
    )


def _checked_txn(txn: tuple[str, int] | None) -> tuple[str, int] | None:
    match txn:
        case None:
            return None
        case (str() as app_id, int() as version) if app_id and not isinstance(version, bool):
            return app_id, version
        case _:
            raise DataError(f"txn is (application id, version), got {txn!r}")


def _version_number(store: ObjectStore, version: int | datetime | None) -> int | None:
    if isinstance(version, datetime):
        return version_at(store, int(version.timestamp() * 1000))
    return version
