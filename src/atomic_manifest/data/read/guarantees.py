"""What the log guarantees of the rows of a file, as Arrow expressions that datasets prune by.

Invariants: a guarantee holds for every row of its file: that a column is one value, lies between two, or
is null. Of floats only partition values are guaranteed, for Arrow forgets NaN where it reasons about
bounds. Of fields of structs nothing is. Making a guarantee takes Python for each file and column, so a
table with too many of them has those of partitions only: there it takes a filter that is given to us to
prune by statistics.

Error semantics: `CorruptLog` for a partition value that is not of its column's type.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from atomic_manifest.data.read.physical import described
from atomic_manifest.errors import CorruptLog, DataError
from atomic_manifest.log.metadata.partition import parse
from atomic_manifest.log.pruning.column_bounds import ColumnBounds
from atomic_manifest.log.pruning.file_bounds import is_ordered, of_statistics
from atomic_manifest.log.pruning.pruner import Column
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.log.stats.parsed import from_json
from atomic_manifest.log.stats.typed_columns import partition_texts, type_of

_Values: TypeAlias = tuple[str | None, ...]

MOST = 20_000
"""Files times columns up to which statistics become guarantees."""

TRUE = pc.scalar(value=True)
"""What is known of every row."""

_NOT = ("float", "double", "boolean")


@dataclass(frozen=True, slots=True)
class Partition:
    """The values of a partition, and what they guarantee of its rows."""

    scalars: Mapping[str, pa.Scalar]
    guarantee: pc.Expression


def partitions_of(
    files: pa.Table, snapshot: Snapshot, filter: pc.Expression | None = None
) -> list[Partition | None]:
    """The partition of each file; None if it cannot hold rows of `filter`.

    Args:
        files: Rows of `Snapshot.files()`, with their partition values.
        snapshot: Where they are from.
        filter: Over the table's schema; None for all rows.

    Raises:
        CorruptLog: See the module.
    """
    schema = snapshot.schema
    fields = snapshot.partition_fields
    names = [snapshot.column_mapping.physical_name(field) for field in fields]
    try:
        values = _texts(files, names)
    except DataError as error:
        raise CorruptLog(str(error), path="", version=snapshot.version) from error
    found = {value: _partition(value, fields, snapshot.version) for value in dict.fromkeys(values)}
    if filter is None or not fields:
        return [found[value] for value in values]
    kept = possible([partition.guarantee for partition in found.values()], schema, filter)
    every = list(found)
    left = {every[number]: found[every[number]] for number in kept}
    return [left.get(value) for value in values]


def _texts(files: pa.Table, columns: Sequence[str]) -> list[_Values]:
    if not columns or not files.num_rows:
        return [()] * files.num_rows
    values = files["partition_values"].combine_chunks()
    lookups = [partition_texts(values, name).to_pylist() for name in columns]
    return list(zip(*lookups, strict=True))


def possible(
    guarantees: Sequence[pc.Expression], schema: pa.Schema, filter: pc.Expression
) -> list[int]:
    """Which of the guarantees leave room for rows of `filter`, by their positions."""
    # Arrow itself decides what is ruled out: one empty stand-in for each is never read.
    parquet, nowhere = ds.ParquetFileFormat(), fs.LocalFileSystem()
    stand_ins = [
        parquet.make_fragment(str(number), nowhere, partition_expression=guarantee)
        for number, guarantee in enumerate(guarantees)
    ]
    found = ds.FileSystemDataset(stand_ins, schema, parquet, nowhere).get_fragments(filter)
    return [int(fragment.path) for fragment in found]


def bounded(snapshot: Snapshot) -> Mapping[str, Column]:
    """The columns whose statistics become guarantees, by name."""
    schema, mapping = snapshot.schema, snapshot.column_mapping
    known = described(snapshot.physical_schema)
    columns = {
        field.name: known.get(mapping.physical_name(field))
        for field in schema
        if field.name not in snapshot.partition_columns
    }
    return {
        name: column
        for name, column in columns.items()
        if column is not None and is_ordered(column.type_name) and column.type_name not in _NOT
    }


def statistics(texts: pa.Array, columns: Mapping[str, Column]) -> list[pc.Expression]:
    """What statistics guarantee of each file.

    Args:
        texts: Of `Snapshot.files()`.
        columns: See `bounded`.
    """
    stats = from_json(texts, type_of((column.path, column.type) for column in columns.values()))
    found = [TRUE] * len(texts)
    for name, column in columns.items():
        known = of_statistics(stats, column.path, column.type_name)
        _add(found, pc.field(name), known, column.type)
    return found


def _add(
    found: list[pc.Expression], field: pc.Expression, known: ColumnBounds, type_: pa.DataType
) -> None:
    """Add what is known of a column to what is guaranteed of each file."""
    count = len(found)
    try:
        low, high = (_back(each, type_, count) for each in (known.low, known.high))
    except pa.ArrowException:
        low = high = pa.nulls(count, type_)
    rows = zip(low, high, known.nulls.to_pylist(), known.values.to_pylist(), strict=True)
    for number, (least, most, nulls, values) in enumerate(rows):
        if not values:
            found[number] &= field.is_null()
            continue
        for bound in _bounds(field, least, most):
            found[number] &= bound | field.is_null() if nulls else bound


def _bounds(field: pc.Expression, least: pa.Scalar, most: pa.Scalar) -> list[pc.Expression]:
    if least.is_valid and least == most:
        # Arrow does not see that both bounds together leave no room for another value.
        return [field == least]
    limits = ((least, pc.greater_equal), (most, pc.less_equal))
    return [holds(field, limit) for limit, holds in limits if limit.is_valid]


def _back(values: Any, type_: pa.DataType, count: int) -> Any:
    """Bounds in the type of the column; nulls if there are none."""
    if values is None:
        return pa.nulls(count, type_)
    if pa.types.is_timestamp(type_):
        return values.cast(pa.int64()).cast(pa.timestamp("us")).cast(type_)
    return values.cast(type_)


def _partition(values: _Values, fields: Sequence[pa.Field], version: int) -> Partition:
    scalars = {
        field.name: _scalar(field, value, version)
        for field, value in zip(fields, values, strict=True)
    }
    parts = [_equals(name, scalar) for name, scalar in scalars.items()]
    return Partition(scalars, reduce(and_, parts) if parts else TRUE)


def _scalar(field: pa.Field, value: str | None, version: int) -> pa.Scalar:
    try:
        return parse(value, field.type)
    except DataError as error:
        raise CorruptLog(
            f"partition column {field.name!r}: {error}", path="", version=version
        ) from error


def _equals(name: str, scalar: pa.Scalar) -> pc.Expression:
    column = pc.field(name)
    if not scalar.is_valid:
        return column.is_null()
    if pa.types.is_floating(scalar.type) and str(scalar) == "-0.0":
        # Datasets prune all partitions that guarantee the same by one of them, and take both zeros of
        # a type for the same.
        is_double = pa.types.is_float64(scalar.type)
        scalar = pa.scalar(-0.0, pa.float32() if is_double else pa.float64())
    return column == scalar
