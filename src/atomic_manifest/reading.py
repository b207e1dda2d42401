"""What a handle tells of its table: the reading half of `Table`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds

from atomic_manifest.data.filters import Filter, to_expression
from atomic_manifest.data.planning import planned
from atomic_manifest.data.reader import to_dataset
from atomic_manifest.handle import Handle
from atomic_manifest.log.history import HistoryRecord, history

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

    # --- reading ---

    def to_dataset(self, filter: Filter = None) -> ds.Dataset:
        """The handle's version as a `pyarrow.dataset.Dataset`.

        Args:
            filter: SQL-like text, DNF tuples as in `pyarrow.parquet.read_table`, or an expression.
                Files that cannot match are left out: by their partition values and, unless it is an
                expression, their statistics.
        """
        return to_dataset(self._handle.store, self._handle.snapshot, filter=filter)

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

    def files(self, filter: Filter = None) -> pa.Table:
        """The data files of the handle's version: path, partition values, size, statistics, ...

        Args:
            filter: Only files that may hold rows that match, as their partition values and statistics
                tell. As for `to_dataset`; an Arrow expression leaves out files of other partitions.
        """
        return planned(self._handle.snapshot, filter)

    def history(self, limit: int | None = None) -> Iterator[HistoryRecord]:
        """The commits in the log, the newest first; `limit` of them at most."""
        return history(self._handle.store, limit=limit)

    def _scanner(self, columns: Sequence[str] | None, filter: Filter) -> ds.Scanner:
        expression = to_expression(filter, self._handle.snapshot.schema)
        dataset = to_dataset(self._handle.store, self._handle.snapshot, filter=filter)
        names = list(columns) if columns is not None else None
        return dataset.scanner(columns=names, filter=expression)
