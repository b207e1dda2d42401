"""Which columns of a table have statistics, by its properties.

Rules, as Delta has them: `delta.dataSkippingStatsColumns` names columns, with commas between them; a struct
stands for all that is in it, and backticks are around names with dots, commas or spaces. Without it, the
first `delta.dataSkippingNumIndexedCols` leaves have them (32 by default, all for -1), where every leaf of a
struct counts, and a list or map is one. Names are the table's, also where files have others.

Error semantics: `check_indexed` raises `DataError`; else what is no number or no column counts for nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa

from atomic_manifest.errors import DataError
from atomic_manifest.log.metadata.column_mapping import NO_MAPPING, ColumnMapping
from atomic_manifest.log.metadata.schema import is_variant

Path: TypeAlias = tuple[str, ...]

INDEXED_COLUMNS = 32
"""Leaf columns with statistics unless the table says otherwise."""

_COUNT = "delta.dataSkippingNumIndexedCols"
_NAMES = "delta.dataSkippingStatsColumns"
_NUMBER = re.compile(r"-?\d{1,9}")
_PART = re.compile(r"\s*(?:`((?:[^`]|``)*)`|([^`.,]*?))\s*([.,]|$)")
_Leaf: TypeAlias = tuple[Path, Path, pa.DataType]


def indexed_columns(
    schema: pa.Schema,
    partition_columns: Sequence[str],
    mapping: ColumnMapping,
    configuration: Mapping[str, str],
) -> list[tuple[Path, pa.DataType]]:
    """Physical path and type of each leaf column that has statistics, in the order of the schema.

    Args:
        schema: The table's.
        partition_columns: Have no statistics.
        mapping: Of names to physical names.
        configuration: The table's properties.
    """
    data = [field for field in schema if field.name not in partition_columns]
    leaves = list(_leaves(data, (), (), mapping))
    return [(path, type_) for _, path, type_ in _chosen(leaves, configuration)]


def check_indexed(
    schema: pa.Schema, partition_columns: Sequence[str], configuration: Mapping[str, str]
) -> None:
    """Refuse properties that are no number, or name no column that can have statistics.

    Raises:
        DataError: Naming the property, and the number or column.
    """
    count = configuration.get(_COUNT, str(INDEXED_COLUMNS)).strip()
    if not _NUMBER.fullmatch(count) or int(count) < -1:
        raise DataError(f"{_COUNT} is a number of columns, or -1 for all, got {count[:40]!r}")
    if (text := configuration.get(_NAMES)) is None:
        return
    data = [field for field in schema if field.name not in partition_columns]
    known = {path[:end] for path, _, _ in _leaves(data, (), (), NO_MAPPING) for end in _ends(path)}
    lower = {_lower(path) for path in known}
    for path in _names(text):
        if _lower(path) not in lower:
            name = ".".join(path)
            raise DataError(f"{_NAMES}: the table has no column {name!r} that statistics are of")


def _chosen(leaves: list[_Leaf], configuration: Mapping[str, str]) -> list[_Leaf]:
    if (text := configuration.get(_NAMES)) is not None:
        chosen = {_lower(path) for path in _names(text)}
        return [
            leaf
            for leaf in leaves
            if any(_lower(leaf[0][:end]) in chosen for end in _ends(leaf[0]))
        ]
    count = configuration.get(_COUNT, "").strip()
    limit = int(count) if _NUMBER.fullmatch(count) else INDEXED_COLUMNS
    return leaves if limit < 0 else leaves[:limit]


def _names(text: str) -> list[Path]:
    """The columns that a list of names is of; what cannot be read as one is left out."""
    found: list[Path] = []
    parts: list[str] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            return found
        quoted, plain, end = match.groups()
        parts.append(plain if quoted is None else quoted.replace("``", "`"))
        at = match.end()
        if end != ".":
            found.append(tuple(parts))
            parts = []
    return [path for path in found if any(path)]


def _ends(path: Path) -> range:
    return range(1, len(path) + 1)


def _lower(path: Path) -> Path:
    return tuple(name.lower() for name in path)


def _leaves(
    fields: Sequence[pa.Field], names: Path, path: Path, mapping: ColumnMapping
) -> Iterator[_Leaf]:
    """Columns with their names, their physical names and types; lists and maps are one each."""
    for field in fields:
        here = (*names, field.name), (*path, mapping.physical_name(field))
        if pa.types.is_struct(field.type) and not is_variant(field.type):
            yield from _leaves(list(field.type), *here, mapping)
        elif not pa.types.is_null(field.type):
            yield *here, field.type
