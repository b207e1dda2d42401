"""Which files a filter leaves to be read.

Invariant: a file is left out only if none of its rows match. Files are told by their partition values and
their statistics. An Arrow expression cannot be looked into: Arrow itself judges by it, partitions only.

Error semantics: `InvalidFilter` as `filters`; `CorruptLog` as `Snapshot.files`.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.data.filter.filters import Filter, to_expression, to_predicate
from atomic_manifest.data.read.guarantees import partitions_of
from atomic_manifest.data.read.physical import described, physical_predicate
from atomic_manifest.log.pruning.predicate import Everything, Predicate
from atomic_manifest.log.pruning.pruner import Pruner
from atomic_manifest.log.state.snapshot import Snapshot


def planned(snapshot: Snapshot, filter: Filter, columns: Sequence[str] | None = None) -> pa.Table:
    """The files that may hold rows that match.

    Args:
        snapshot: The version to read.
        filter: See `filter.filters.Filter`.
        columns: Of `Snapshot.files()`; None for all.
    """
    if not isinstance(filter, pc.Expression):
        chosen = pruner(snapshot, to_predicate(filter, snapshot.schema))
        return snapshot.files(columns, pruner=chosen)
    expression = to_expression(filter, snapshot.schema)
    files = snapshot.files(columns and list(dict.fromkeys((*columns, "partition_values"))))
    kept = [each is not None for each in partitions_of(files, snapshot, expression)]
    files = files.filter(pa.array(kept, pa.bool_()))
    return files if columns is None else files.select(columns)


def pruner(snapshot: Snapshot, predicate: Predicate) -> Pruner | None:
    """What chooses the files of a snapshot for a predicate; None if it would take them all.

    Args:
        snapshot: The version to read.
        predicate: Over the table's schema.
    """
    if isinstance(predicate, Everything):
        return None
    mapping = snapshot.column_mapping
    partitions = [mapping.physical_name(field) for field in snapshot.partition_fields]
    predicate = physical_predicate(predicate, snapshot.schema, mapping)
    return Pruner(predicate, described(snapshot.physical_schema), partitions)
