"""What a handle tells of its table: the reading half of `Table`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds

from atomic_manifest.data.filter.filters import Filter, bound, to_expression
from atomic_manifest.data.input.frame_schema import index_columns, to_frame
from atomic_manifest.data.names import names_of
from atomic_manifest.data.read.planning import planned
from atomic_manifest.data.read.reader import to_dataset
from atomic_manifest.data.read.stream import stream
from atomic_manifest.data.read.table_dataset import BATCH_ROWS
from atomic_manifest.errors import DataError
from atomic_manifest.handle import Handle
from atomic_manifest.log.columns import FILES
from atomic_manifest.log.names import matches
from atomic_manifest.log.state.history import HistoryRecord, history
from atomic_manifest.ops.selection import records
from atomic_manifest.progress import Watch, watch, watched

if TYPE_CHECKING:
    import pandas as pd


class Reading:
    """The table at the version that a handle sees.

    Args:
        handle: The handle.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

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
        """The table's Arrow schema, without what the log keeps with columns for the Delta protocol."""
        return self._handle.snapshot.plain_schema

    @property
    def partition_columns(self) -> tuple[str, ...]:
        """Names of the partition columns, in order."""
        return self._handle.snapshot.partition_columns

    @property
    def configuration(self) -> Mapping[str, str]:
        """The table's properties."""
        return self._handle.snapshot.configuration

    # --- reading ---

    def to_dataset(self, filter: Filter = None) -> ds.Dataset:
        """The handle's version as a `pyarrow.dataset.Dataset`.

        Args:
            filter: SQL-like text, DNF tuples as in `pyarrow.parquet.read_table`, or an expression.
                Files that cannot match are left out: by their partition values and, unless it is an
                expression, their statistics.
        """
        return to_dataset(self._handle.store, self._handle.snapshot, filter=bound(filter))

    def to_arrow(
        self,
        columns: Iterable[str] | None = None,
        *,
        filter: Filter = None,
        callback: Any = None,
        progress: bool = False,
    ) -> pa.Table:
        """Read into memory.

        Args:
            columns: Which, in which order; None for all.
            filter: Only rows that match. As for `to_dataset`.
            callback: Told how far the reading is, as those of fsspec: rows by `set_size` (without a
                filter, if the log tells) and `relative_update`, bytes of memory by the child that
                `branched` gives. It may raise to stop.
            progress: Draw a bar of that on the terminal, with rich.

        Raises:
            DataError: There is no such column.
            InvalidFilter: `filter` does not fit the table.
        """
        watcher = watch(callback, progress=progress)
        chosen, names = bound(filter), columns_of(columns, self.schema)
        if watcher:
            return self._stream(names, chosen, watcher).read_all()
        expression = to_expression(chosen, self._handle.snapshot.schema)
        try:
            return self.to_dataset(chosen).to_table(columns=names, filter=expression)
        except pa.ArrowNotImplementedError:  # see `stream`
            return self._stream(names, chosen, watcher).read_all()

    def to_batches(
        self,
        columns: Iterable[str] | None = None,
        *,
        filter: Filter = None,
        batch_size: int | None = None,
        callback: Any = None,
        progress: bool = False,
    ) -> pa.RecordBatchReader:
        """Read as a stream of batches that is a few row groups ahead of what is taken, no more.

        Args:
            columns: As for `to_arrow`.
            filter: As for `to_arrow`.
            batch_size: The most rows of a batch; 131,072 by default.
            callback: As for `to_arrow`, told in the course of reading.
            progress: As for `to_arrow`; the bar is there from the first batch to the last.
        """
        watcher = watch(callback, progress=progress)
        return self._stream(columns, filter, watcher, batch_size)

    def to_pandas(
        self,
        columns: Iterable[str] | None = None,
        *,
        filter: Filter = None,
        callback: Any = None,
        progress: bool = False,
        **options: Any,
    ) -> "pd.DataFrame":
        """Read into a pandas frame, with the index and dtypes of the frame that the table was made from.

        Args:
            columns: As for `to_arrow`; the columns of that index come besides.
            filter: As for `to_arrow`.
            callback: As for `to_arrow`.
            progress: As for `to_arrow`.
            **options: For `pyarrow.Table.to_pandas`; with `ignore_metadata=True`, the table's own columns
                and types only.
        """
        configuration = {} if options.get("ignore_metadata") else self.configuration
        columns = columns_of(columns, self.schema)
        if columns is not None:
            index = [name for name in index_columns(configuration) if name in self.schema.names]
            columns = list(dict.fromkeys((*columns, *index)))
        rows = self.to_arrow(columns, filter=filter, callback=callback, progress=progress)
        frame: pd.DataFrame = to_frame(rows, configuration, options)
        return frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface: `polars.DataFrame(table)` and the like."""
        return self.to_batches().__arrow_c_stream__(requested_schema)

    def files(self, filter: Filter = None, *, columns: Iterable[str] | None = None) -> pa.Table:
        """The data files of the handle's version: path, partition values, size, statistics, ...

        Args:
            filter: Only files that may hold rows that match, as their partition values and statistics
                tell. As for `to_dataset`; an Arrow expression leaves out files of other partitions.
            columns: What to tell of them, which is all that is read of the log: some of `path`,
                `partition_values`, `size`, `modification_time`, `data_change`, `stats`, `tags`,
                `deletion_vector`, `base_row_id`, `default_row_commit_version` and
                `clustering_provider`; None for all.

        Raises:
            InvalidFilter: `filter` does not fit the table.
            DataError: There is no such column.
        """
        names = None if columns is None else names_of("columns", columns)
        unknown = [name for name in names or () if name not in FILES.names]
        if unknown:
            raise DataError(f"files have no {unknown[0]!r}, but {', '.join(FILES.names)}")
        return planned(self._handle.snapshot, bound(filter), names)

    def history(self, limit: int | None = None) -> Iterator[HistoryRecord]:
        """The commits in the log, the newest first; `limit` of them at most."""
        return history(self._handle.store, limit=limit)

    def _stream(
        self,
        columns: Iterable[str] | None,
        filter: Filter,
        watcher: Watch,
        batch_size: int | None = None,
    ) -> pa.RecordBatchReader:
        if batch_size is not None and batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {batch_size}")
        store, snapshot = self._handle.store, self._handle.snapshot
        size = BATCH_ROWS if batch_size is None else batch_size
        chosen, names = bound(filter), columns_of(columns, snapshot.schema)
        reader = stream(store, snapshot, columns=names, filter=chosen, batch_size=size)
        if watcher and filter is None:
            counts = records(snapshot.files(["stats", "deletion_vector"]))
            known = [count for count in counts if count is not None]
            watcher = replace(watcher, rows=sum(known) if len(known) == len(counts) else None)
        return watched(reader, watcher, title="read", url=self.url)


def columns_of(columns: Iterable[str] | None, schema: pa.Schema) -> list[str] | None:
    """The columns that a user asked for, in any case, as the table calls them; None for all.

    Raises:
        DataError: There is no such column, or several if case does not count; or as `names_of`.
    """
    if columns is None:
        return None
    names = names_of("columns", columns)
    return [_column_of(name, schema) for name in names]


def _column_of(name: Any, schema: pa.Schema) -> str:
    found = matches(name, schema.names) if isinstance(name, str) else []
    if not found:
        raise DataError(f"the table has no column {name!r}, but {', '.join(schema.names)}")
    if len(found) > 1:
        raise DataError(f"the column {name!r} may be any of {', '.join(found)}")
    return found[0]
