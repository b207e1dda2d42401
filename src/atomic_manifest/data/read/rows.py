"""The rows of some files for which a predicate is TRUE, and the other rows.

Invariants: every row is on exactly one side. Rows are tested in memory, after they are read, because a
dataset that filters while it reads may pass over NaN (see `filter.filters`). Streams are never held whole.

Error semantics: as `stream`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import acero

from atomic_manifest.data.filter.filter_terms import Terms
from atomic_manifest.data.filter.filters import predicate_expression
from atomic_manifest.data.input.conform import conform
from atomic_manifest.data.read.stream import batches_by_file, stream
from atomic_manifest.errors import DataError
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.pruning.predicate import Everything, Predicate, columns_of
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.object_store import ObjectStore

_ROWS_ALONE = 1 << 16
"""So many rows are tested faster than threads are begun."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows by file, whose paths are as in the log.

    Attributes:
        rows: All rows.
        matching: Those for which the predicate is TRUE.
    """

    rows: Counter[str] = field(default_factory=Counter)
    matching: Counter[str] = field(default_factory=Counter)


def rows_where(
    store: ObjectStore,
    snapshot: Snapshot,
    files: pa.Table,
    predicate: Predicate,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read the rows that match.

    Args:
        store: Rooted at the table.
        snapshot: The version to read.
        files: Rows of `snapshot.files()`.
        predicate: Which rows.
        columns: Which, in which order; None for all.
    """
    names = list(snapshot.schema.names if columns is None else columns)
    if isinstance(predicate, Everything):
        return stream(store, snapshot, columns=names, only=files).read_all()
    needed = list(dict.fromkeys((*names, *_roots(predicate, snapshot))))
    reader = stream(store, snapshot, columns=needed, only=files)
    expression = predicate_expression(predicate, snapshot.schema)
    parts = [_filtered(batch, expression) for batch in reader]
    return pa.concat_tables([reader.schema.empty_table(), *parts]).select(names)


def rows_except(
    store: ObjectStore, snapshot: Snapshot, files: pa.Table, predicate: Predicate
) -> pa.RecordBatchReader:
    """Read the rows that do not match, in order, as batches of the table's schema.

    Args: as for `rows_where`.
    """
    matches = predicate_expression(predicate, snapshot.schema)
    others = ~matches | matches.is_null()
    rows = stream(store, snapshot, only=files)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            yield from _filtered(batch, others).to_batches()

    reader = pa.RecordBatchReader.from_batches(rows.schema, batches())
    return conform(reader, snapshot.schema)


def tally_where(
    store: ObjectStore, snapshot: Snapshot, files: pa.Table, predicate: Predicate
) -> Tally:
    """Count rows by file. Reads only the columns that the predicate looks at.

    Args: as for `rows_where`.
    """
    tally = Tally()
    if not files.num_rows:
        return tally
    raw = {decode_file_path(path, version=snapshot.version): path for path in _paths(files)}
    expression = predicate_expression(predicate, snapshot.schema)
    # At least one, so that batches have rows; a partition column costs no reading.
    columns = (
        _roots(predicate, snapshot) or [*snapshot.partition_columns, *snapshot.schema.names][:1]
    )
    for path, batch in batches_by_file(store, snapshot, files, columns):
        tally.rows[raw[path]] += batch.num_rows
        tally.matching[raw[path]] += _filtered(batch, expression).num_rows
    return tally


def requirement(predicate: Predicate, schema: pa.Schema) -> Callable[[pa.RecordBatch], None]:
    """A check that all rows of a batch of `schema` match; it raises `DataError` if one does not."""
    expression = predicate_expression(predicate, schema)

    def check(batch: pa.RecordBatch) -> None:
        outside = batch.num_rows - _filtered(batch, expression).num_rows
        if outside:
            raise DataError(
                f"{outside} of the given rows do not match `where`: they would be outside of what is "
                "overwritten"
            )

    return check


def _paths(files: pa.Table) -> list[str]:
    paths: list[str] = files["path"].to_pylist()
    return paths


def _roots(predicate: Predicate, snapshot: Snapshot) -> list[str]:
    """The top-level columns that a predicate looks at."""
    terms = Terms(snapshot.schema)
    return sorted({terms.column(name).path[0] for name in columns_of(predicate)})


def _filtered(batch: pa.RecordBatch, expression: pc.Expression) -> pa.Table:
    # As `pa.Table.filter`, which starts threads for a few rows, too.
    table = acero.TableSourceNodeOptions(pa.Table.from_batches([batch]))
    steps = [
        acero.Declaration("table_source", table),
        acero.Declaration("filter", acero.FilterNodeOptions(expression)),
    ]
    plan = acero.Declaration.from_sequence(steps)
    return plan.to_table(use_threads=batch.num_rows > _ROWS_ALONE)
