"""Columns of floats of which a Parquet footer says less than readers take it to say.

A footer's bounds pass over NaN, yet Arrow takes them to bound every value: where they are equal, it has
no room for another. And it writes the bounds of zeros as -0.0 and 0.0, then takes either for all there is.
So a row group gets no bounds for a column that holds NaN, or nothing but zeros, at any depth.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.log.stats.footer import Unsaid

Path: TypeAlias = tuple[str, ...]
_Leaf: TypeAlias = tuple[int, Path | None, Any]
"""The position of a leaf among all of the file, its path if it is in no list or map, and its values."""


@dataclass(frozen=True, slots=True)
class Floats:
    """What there is to know of the float columns of some rows.

    Attributes:
        leaves: By position among the leaves of the schema, those that get no bounds.
        unsaid: What a footer without these bounds does not tell, by path.
        nan_free: Paths of the columns that hold no NaN.
    """

    leaves: frozenset[int]
    unsaid: Mapping[Path, Unsaid]
    nan_free: frozenset[Path]


def floats_of(rows: pa.Table) -> Floats:
    """Look at the float columns of some rows."""
    leaves, unsaid, nan_free = set(), {}, set()
    for position, path, values in _floats(rows):
        has_nan, zeros = _looked_at(values)
        if has_nan or zeros:
            leaves.add(position)
        if path is None:
            continue
        if not has_nan:
            nan_free.add(path)
        if has_nan or zeros:
            unsaid[path] = Unsaid(values.null_count, 0.0 if zeros else None)
    return Floats(frozenset(leaves), unsaid, frozenset(nan_free))


def _floats(rows: pa.Table) -> Iterator[_Leaf]:
    position = 0
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if _has_floats(field.type):
            yield from _below(column, field.type, (field.name,), position)
        position += _leaves(field.type)


def _below(column: Any, type_: pa.DataType, path: Path | None, position: int) -> Iterator[_Leaf]:
    if types.is_floating(type_):
        yield position, path, column
        return
    if types.is_map(type_):
        pair = pa.struct([type_.key_field, type_.item_field])
        entries = pa.list_(pa.field("entries", pair, nullable=False))
        column = pa.chunked_array([chunk.view(entries) for chunk in column.chunks], entries)
        type_ = entries
    if types.is_struct(type_):
        for number, field in enumerate(type_):
            if _has_floats(field.type):
                here = None if path is None else (*path, field.name)
                inner = pc.struct_field(column, [number])
                yield from _below(inner, field.type, here, position)
            position += _leaves(field.type)
    else:
        yield from _below(pc.list_flatten(column), type_.value_type, None, position)


def _has_floats(type_: pa.DataType) -> bool:
    if types.is_nested(type_):
        return any(_has_floats(type_.field(index).type) for index in range(type_.num_fields))
    return bool(types.is_floating(type_))


def _leaves(type_: pa.DataType) -> int:
    if not types.is_nested(type_):
        return 1
    return sum(_leaves(type_.field(index).type) for index in range(type_.num_fields))


def _looked_at(column: Any) -> tuple[bool, bool]:
    """Whether a column holds NaN, and whether it holds zeros and nothing else."""
    if types.is_float16(column.type):
        return bool(pc.any(pc.is_nan(column)).as_py()), False
    # NaN and anything add up to NaN; but so do both infinities.
    total = pc.sum(column).as_py()
    if total is None:
        return False, False
    if math.isnan(total):
        return bool(pc.any(pc.is_nan(column)).as_py()), False
    return False, total == 0 and not pc.any(pc.not_equal(column, 0)).as_py()
