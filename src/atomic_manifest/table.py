"""`Table`: the handle users hold.

A handle is a snapshot of the table that moves forward: with every commit made through it, and with
`refresh()`. Threads may share it; other processes open their own.

Error semantics: the input and the table's protocol are checked before anything is uploaded, as far as
they can be without reading all of the input. If an operation raises, nothing of it is in the log and
its files are gone, except with `CommitOutcomeUnknown`, which says that it may be there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from types import MappingProxyType
from typing import Any, Literal, Self, TypeAlias

import pyarrow as pa

from atomic_manifest.commit.messages import Budget
from atomic_manifest.commit.plan import Plan
from atomic_manifest.commit.resolve import resolve, revoke
from atomic_manifest.commit.result import CommitResult, Resolution, ResolutionState
from atomic_manifest.data.filter.filters import Filter, bound
from atomic_manifest.data.input.frame_schema import remembered
from atomic_manifest.data.input.source import open_source
from atomic_manifest.data.names import schema_of
from atomic_manifest.data.read.rows import requirement
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import (
    CommitOutcomeUnknown,
    DataError,
    StoreError,
    TableNotFound,
)
from atomic_manifest.first_write import already_exists, create, write_first
from atomic_manifest.handle import Handle
from atomic_manifest.log.maintenance import upkeep
from atomic_manifest.log.maintenance.cleanup import cleanup_metadata
from atomic_manifest.log.metadata.evolution import of_rows
from atomic_manifest.log.metadata.schema import canonical
from atomic_manifest.log.state.history import Version, version_number
from atomic_manifest.log.state.snapshot import begin, load
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.ops.overwrite import Overwrite, replacing_partitions
from atomic_manifest.ops.staged import Staged
from atomic_manifest.staging import (
    SchemaMode,
    check_partitioning,
    checked_mode,
    partition_names,
    write_request,
)
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.transaction import Partitions, check_scope, deletable
from atomic_manifest.writing import Writing

Url: TypeAlias = str | PathLike[str]
WriteMode: TypeAlias = Literal["append", "overwrite", "error"]

_PLANS: Mapping[str, Callable[[Staged], Plan] | None] = MappingProxyType(
    {"append": Append, "overwrite": Overwrite, "error": None}
)


class Table(Writing):
    """A Delta table on an object store.

    Made by `Table.create` and `Table.open`. See the module docstring for what a handle is.
    """

    def __init__(self, handle: Handle, budget: Budget) -> None:
        super().__init__(handle)
        self._budget = budget

    # --- getting a handle ---

    @classmethod
    def create(
        cls,
        url: Url,
        schema: pa.Schema,
        *,
        partition_by: Iterable[str] = (),
        configuration: Mapping[str, str] | None = None,
        name: str | None = None,
        description: str | None = None,
        if_not_exists: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
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
            filesystem: A filesystem of fsspec, on which `url` is a path; instead of `storage_options`.
            budget: Bounds on attempts and time of each commit through the handle.
            env: Clock, randomness and ids; for tests.

        Raises:
            TableAlreadyExists: It is there, and `if_not_exists` is false.
            InvalidSchema: A type that Delta lacks, duplicate names, unusable partition columns.
            DataError: A property, the name or the description is not text; a retention no duration. Or
                there are Parquet files without a table, whose rows its log would hide.
            UnsupportedTableFeature: A property asks for a feature that is not written here.
        """
        store = open_store(url, storage_options, filesystem=filesystem, env=env)
        budget = budget or Budget()
        columns = partition_names(partition_by)
        given: Any = {} if configuration is None else configuration
        schema = schema_of(schema)
        properties = {**remembered(schema), **given} if isinstance(given, Mapping) else given
        spec = TableSpec(schema, columns, properties, name, description)
        created = create(store, spec, env=env, budget=budget)
        if created is None and not if_not_exists:
            raise already_exists(store)
        try:
            return cls._load(store, None, env, budget)
        except StoreError:
            if created is None:
                raise
            # The table is there, whatever keeps it from being read just now.
            handle = Handle(store, begin(store, created), env, budget, is_latest=False)
            return cls(handle, budget)

    @classmethod
    def open(
        cls,
        url: Url,
        *,
        version: Version | None = None,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
        budget: Budget | None = None,
        env: Env = SYSTEM,
    ) -> Self:
        """Open a table.

        Args:
            url: As for `create`.
            version: A version, or a time whose last commit is meant: a `datetime` (a naive one is local
                time), a date, one of pandas or NumPy, or ISO 8601 text. None opens the latest. A write
                through the handle moves it to the latest first.
            storage_options: As for `create`.
            filesystem: As for `create`.
            budget: As for `create`.
            env: As for `create`.

        Raises:
            DataError: `version` is neither a number nor a time.
            TableNotFound: There is no log at `url`.
            VersionNotFound: The log does not reach `version`.
            UnsupportedTableFeature: Reading the table needs a feature that is not there.
            CorruptLog: The log is damaged.
        """
        store = open_store(url, storage_options, filesystem=filesystem, env=env)
        number = version_number(store, version)
        return cls._load(store, number, env, budget or Budget())

    @classmethod
    def exists(
        cls,
        url: Url,
        *,
        storage_options: Mapping[str, Any] | None = None,
        filesystem: Any = None,
    ) -> bool:
        """Whether there is a table at `url`. Arguments as for `create`."""
        try:
            load(open_store(url, storage_options, filesystem=filesystem))
        except TableNotFound:
            return False
        return True

    @classmethod
    def _load(cls, store: ObjectStore, version: int | None, env: Env, budget: Budget) -> Self:
        snapshot = load(store, version=version)
        handle = Handle(store, snapshot, env, budget, is_latest=version is None)
        return cls(handle, budget)

    def __repr__(self) -> str:
        return f"Table({self.url!r}, version={self.version})"

    # --- the handle and its log ---

    def refresh(self) -> Self:
        """Move the handle to the latest version."""
        self._handle.refresh()
        return self

    def checkpoint(self) -> None:
        """Write a checkpoint of the handle's version, so that it opens fast."""
        upkeep.checkpoint(self._handle.store, self._handle.snapshot)

    def cleanup_metadata(self) -> None:
        """Remove what the log keeps of versions that are no longer to be reached.

        That is what lies before the newest checkpoint whose version is older than
        `delta.logRetentionDuration`, by default 30 days. Checkpoints do it too, unless
        `delta.enableExpiredLogCleanup` is `false`.

        Raises:
            UnsupportedTableFeature: The table protects its checkpoints, or is not ours to write.
        """
        cleanup_metadata(self._handle.store, self._handle.snapshot)

    def resolve(self, commit: str | CommitOutcomeUnknown, *, settle: bool = False) -> Resolution:
        """What became of a commit whose outcome was unknown. Works from any process.

        Args:
            commit: The commit's id, or the error that was raised for it (which also knows where it may
                be, so that "not committed" can be told).
            settle: If it is not in the log, commit an entry that changes nothing and revokes it.
                Then no delayed request of its can land any more, and the answer is final.

        Raises:
            DataError: `commit` is neither, or an empty id.
        """
        if not commit or not isinstance(commit, str | CommitOutcomeUnknown):
            raise DataError(f"commit is an id or a CommitOutcomeUnknown, got {commit!r}")
        unknown = commit if isinstance(commit, CommitOutcomeUnknown) else None
        commit_id = commit if isinstance(commit, str) else commit.commit_id
        store = self._handle.store
        # Loaded first: whatever lands after this snapshot, the revocation meets on its way.
        before = load(store) if settle else None
        found = resolve(store, commit_id, unknown.versions if unknown else None)
        if found.state is not ResolutionState.OPEN or before is None:
            return found
        revoke(store, self._handle.env, self._budget, before, commit_id)
        return resolve(store, commit_id)


def append(
    url: Url,
    data: Any,
    *,
    partition_by: Iterable[str] = (),
    txn: tuple[str, int] | None = None,
    commit_info: Mapping[str, Any] | None = None,
    options: WriteOptions | None = None,
    preserve_index: bool | None = None,
    coerce_timestamps: bool = False,
    schema_mode: SchemaMode | None = None,
    callback: Any = None,
    progress: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    env: Env = SYSTEM,
) -> CommitResult:
    """Append to the table at `url`, creating it from the data if it is not there.

    The first commit creates the table and adds the rows in one entry. If several do so at once, one
    creates it and the others append to it. What a pandas frame knows of itself and Delta does not, such
    as its index, is kept with a new table for `Table.to_pandas`.

    Args:
        url: As for `Table.create`.
        data: As for `Table.append`; its schema becomes the table's if the table is new, without the
            columns of which nothing tells the type, for all is null: they are missing, as null.
        partition_by: For a new table; an existing one must have the same, unless left empty.
        txn: As for `Table.append`.
        commit_info: As for `Table.append`.
        options: As for `Table.append`.
        preserve_index: As for `Table.append`.
        coerce_timestamps: As for `Table.append`.
        schema_mode: As for `Table.append`.
        callback: As for `Table.append`.
        progress: As for `Table.append`.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        env: As for `Table.create`.

    Raises:
        SchemaMismatch: The table is there with other partition columns.
        DataError: As for `Table.append`; or there are Parquet files without a table, as for `Table.create`.
        CommitError: As for `Table.append`.
    """
    return write(
        url,
        data,
        "append",
        partition_by=partition_by,
        txn=txn,
        commit_info=commit_info,
        options=options,
        preserve_index=preserve_index,
        coerce_timestamps=coerce_timestamps,
        schema_mode=schema_mode,
        callback=callback,
        progress=progress,
        storage_options=storage_options,
        filesystem=filesystem,
        env=env,
    )


def write(
    url: Url,
    data: Any,
    mode: WriteMode,
    *,
    partition_by: Iterable[str] = (),
    where: Filter = None,
    partitions: Partitions | None = None,
    schema_mode: SchemaMode | None = None,
    preserve_index: bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    env: Env = SYSTEM,
    **given: Any,
) -> CommitResult:
    """Write to the table at `url`, creating it from the data if it is not there. Not for users.

    Args:
        url: As for `Table.create`.
        data: As for `append`.
        mode: What to do if the table is there: `"append"`, `"overwrite"` or `"error"`.
        partition_by: As for `append`.
        where: To overwrite; see `Table.overwrite`.
        partitions: To overwrite; see `Table.overwrite`.
        schema_mode: If the table is there; see `Table.append`.
        preserve_index: As for `Table.append`.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        env: As for `Table.create`.
        **given: Arguments that `Table.append` and `Table.overwrite` share.

    Raises:
        TableAlreadyExists: For `"error"`; or somebody else created the table just now, and rows of it
            were to be overwritten.
        DataError, CommitError: As for `Table.append`.
    """
    partition_by, where = partition_names(partition_by), bound(where)
    checked_mode(schema_mode)
    request = write_request(data if where is None else None, **given)
    store = open_store(url, storage_options, filesystem=filesystem, env=env)
    table = _existing(store, env)
    if table is None:
        check_scope(where, partitions, partition_by)
        reader = open_source(
            data,
            preserve_index=preserve_index,
            coerce_timestamps=request.coerce_timestamps,
        )
        if where is not None:
            schema = canonical(of_rows(reader.schema, partition_by))
            request = replace(request, check=requirement(deletable(where, schema), schema))
        columns = of_rows(reader.schema, partition_by)
        spec = TableSpec(columns, partition_by, remembered(reader.schema))
        plan = _PLANS[mode] if partitions is None else replacing_partitions
        plan = plan if where is None else None
        return write_first(store, spec, reader, request, plan, env=env, budget=Budget())
    handle = table._handle  # noqa: SLF001 - same module
    if mode == "error":
        if (done := handle.recorded(request.txn)) is not None:
            return done
        raise already_exists(store)
    check_partitioning(handle.snapshot, partition_by)
    given["preserve_index"] = preserve_index
    if mode == "append":
        return table.append(data, schema_mode=schema_mode, **given)
    return table.overwrite(
        data, where=where, partitions=partitions, schema_mode=schema_mode, **given
    )


def _existing(store: ObjectStore, env: Env) -> Table | None:
    try:
        return Table._load(store, None, env, Budget())  # noqa: SLF001 - same module
    except TableNotFound:
        return None


def read_table(
    url: Url,
    *,
    columns: Iterable[str] | None = None,
    filters: Filter = None,
    version: Version | None = None,
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
    callback: Any = None,
    progress: bool = False,
    env: Env = SYSTEM,
) -> pa.Table:
    """Read the table at `url` into memory, as `pyarrow.parquet.read_table` reads a file.

    Args:
        url: As for `Table.create`.
        columns: Which, in which order; None for all.
        filters: Tuples `(column, op, value)` in disjunctive normal form, an Arrow expression or SQL-like
            text. Files that cannot match are not read.
        version: As for `Table.open`.
        storage_options: As for `Table.create`.
        filesystem: As for `Table.create`.
        callback: As for `Table.to_arrow`.
        progress: As for `Table.to_arrow`.
        env: As for `Table.create`.

    Raises:
        TableNotFound, VersionNotFound: As for `Table.open`.
        InvalidFilter: `filters` does not fit the table.
    """
    table = Table.open(
        url, version=version, storage_options=storage_options, filesystem=filesystem, env=env
    )
    return table.to_arrow(columns, filter=filters, callback=callback, progress=progress)
