"""Which typed columns a table's checkpoints have: of statistics and of partition values.

They carry the physical names of the table's columns, as the log does everywhere (protocol, "Column
Mapping"), and the types of its schema.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.metadata.column_mapping import ColumnMapping
from atomic_manifest.log.names import matches
from atomic_manifest.log.stats.indexed import indexed_columns

_Tree: TypeAlias = dict[str, Any]

_BOUNDED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_date,
    pa.types.is_timestamp,
)
_CAST = (pa.types.is_integer, pa.types.is_date)  # Arrow reads these texts as `partition.parse` does


def statistics_type(
    schema: pa.Schema,
    partition_columns: Sequence[str],
    mapping: ColumnMapping,
    configuration: Mapping[str, str],
) -> pa.StructType:
    """The type of `stats_parsed` for a table.

    Args:
        schema: The table's.
        partition_columns: Have no statistics.
        mapping: Of names to physical names.
        configuration: Says which columns have them, see `indexed`.
    """
    return type_of(indexed_columns(schema, partition_columns, mapping, configuration))


def type_of(columns: Iterable[tuple[tuple[str, ...], pa.DataType]]) -> pa.StructType:
    """The type of `stats_parsed` for some columns, each given by its physical path and its type."""
    bounds: _Tree = {}
    counts: _Tree = {}
    for path, type_ in columns:
        _put(counts, path, pa.int64())
        if any(matches(type_) for matches in _BOUNDED):
            _put(bounds, path, type_)
    fields = [
        ("numRecords", pa.int64()),
        ("minValues", _struct(bounds)),
        ("maxValues", _struct(bounds)),
        ("nullCount", _struct(counts)),
        ("tightBounds", pa.bool_()),
    ]
    return pa.struct([(name, type_) for name, type_ in fields if type_ is not None])


def _put(tree: _Tree, path: tuple[str, ...], type_: pa.DataType) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = type_


def _struct(tree: _Tree) -> pa.StructType | None:
    """The struct type of a tree; None if it is empty, which Parquet cannot hold."""
    fields = [
        (name, _struct(node) if isinstance(node, dict) else node) for name, node in tree.items()
    ]
    return pa.struct(fields) if fields else None


def partition_type(
    schema: pa.Schema, partition_columns: Sequence[str], mapping: ColumnMapping
) -> pa.StructType:
    """The type of `partitionValues_parsed` for a table; without fields if it is not partitioned."""
    fields = [schema.field(name) for name in partition_columns if name in schema.names]
    return pa.struct([(mapping.physical_name(field), field.type) for field in fields])


def parse_partitions(values: pa.Array, type_: pa.StructType) -> pa.StructArray:
    """Partition values in the types of their columns.

    Args:
        values: Of `add.partitionValues`: maps of text.
        type_: See `partition_type`.

    Raises:
        DataError: A text that is no value of the column's type.
    """
    columns = []
    for field in type_:
        distinct = partition_texts(values, field.name).dictionary_encode()
        columns.append(pc.take(_parsed(distinct.dictionary, field.type), distinct.indices))
    return pa.StructArray.from_arrays(columns, fields=list(type_))


def partition_texts(values: pa.Array, name: str) -> pa.Array:
    """The serialized values of one partition column, null where there is none.

    Args:
        values: Of `add.partitionValues`: maps of text.
        name: The column's physical name; the maps may have it in another case.

    Raises:
        DataError: A map has it in several other cases.
    """
    offsets = values.offsets
    lengths = pc.min_max(pc.subtract(offsets[1:], offsets[:-1])).as_py()
    width = lengths["max"]
    if values.null_count or not width or lengths["min"] != width:
        return _looked_up(values, name)
    # Maps that have the same keys in the same places, as one writer makes them, are a matrix.
    start, count = offsets[0].as_py(), len(values) * width
    keys, items = values.keys.slice(start, count), values.items.slice(start, count)
    place = pc.index(keys.slice(0, width), name).as_py()
    found = pc.equal(keys, name)
    if place < 0 or found.true_count != len(values):
        return _looked_up(values, name)
    if width == 1:
        return items
    places = pa.array(range(place, count, width))
    if not pc.all(found.take(places)).as_py():
        return _looked_up(values, name)
    return items.take(places)


def _looked_up(values: pa.Array, name: str) -> pa.Array:
    keys = pc.unique(values.keys).to_pylist()
    if any(key != name and key.lower() == name.lower() for key in keys):
        return pa.array(
            [_text_of(dict(each or ()), name) for each in values.to_pylist()], pa.string()
        )
    return pc.map_lookup(values, pa.scalar(name, values.type.key_type), "first")


def _text_of(values: Mapping[str, str | None], name: str) -> str | None:
    found = matches(name, values)
    if len(found) > 1:
        raise DataError(
            f"partition column {name!r}: a file has values of {', '.join(sorted(found))}"
        )
    return values[found[0]] if found else None


def _parsed(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_string(type_):
        return pc.if_else(pc.equal(texts, ""), None, texts)
    if any(matches(type_) for matches in _CAST):
        try:
            return texts.cast(type_)
        except pa.ArrowException:
            pass
    try:
        return pa.array([partition.parse(text, type_).as_py() for text in texts.to_pylist()], type_)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"partition value: {error}") from error
