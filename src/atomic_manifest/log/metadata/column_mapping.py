"""Column mapping: what the table calls a column, and what its files call it (protocol, "Column Mapping").

Invariants: the mode counts only where the protocol supports the feature; else, and in mode `none`, files
use the names of the schema. In both other modes partition values, statistics and paths of the log use
physical names; data files are read by physical name (`name`) or by Parquet field id (`id`).

Error semantics: `CorruptLog` for a mode that there is not, and for a column without the physical name
or id that its mode needs.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, TypeAlias

import pyarrow as pa
from pyarrow import types

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import Metadata, Protocol
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.metadata.schema import TYPE_CHANGES, is_variant, walk

Mode: TypeAlias = Literal["none", "name", "id"]

FIELD_ID = b"PARQUET:field_id"
"""The key under which Arrow keeps the field id of a Parquet column."""

_FEATURE = "columnMapping"
_PROPERTY = "delta.columnMapping.mode"
_NAME = b"delta.columnMapping.physicalName"
_ID = b"delta.columnMapping.id"
_GREATEST = "delta.columnMapping.maxColumnId"
_READER_WITH_MAPPING = 2
_READER_WITH_FEATURES = 3


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How a table's columns are found in its files and in its log.

    Attributes:
        mode: `none`, `name` or `id`.
    """

    mode: Mode = "none"

    @property
    def is_on(self) -> bool:
        """Whether columns may be called otherwise than in the schema."""
        return self.mode != "none"

    def physical_name(self, field: pa.Field) -> str:
        """What files and log call a field of the table's schema.

        Raises:
            CorruptLog: The field lacks its physical name.
        """
        return str(_value(field, _NAME, str)) if self.is_on else str(field.name)

    def field_id(self, field: pa.Field) -> int:
        """The Parquet field id of a field of a mapped table's schema.

        Raises:
            CorruptLog: The field lacks its id.
        """
        return int(_value(field, _ID, int))

    def physical(self, schema: pa.Schema) -> pa.Schema:
        """The table's schema as its data files have it: physical names, field ids, earlier types.

        Raises:
            CorruptLog: A field lacks its physical name or its id.
        """
        return pa.schema([self._physical(field) for field in schema]) if self.is_on else schema

    def _physical(self, field: pa.Field) -> pa.Field:
        changes = (field.metadata or {}).get(TYPE_CHANGES.encode())
        return pa.field(
            self.physical_name(field),
            self._type(field.type),
            nullable=field.nullable,
            metadata={
                FIELD_ID: str(self.field_id(field)).encode(),
                **({} if changes is None else {TYPE_CHANGES.encode(): changes}),
            },
        )

    def _type(self, type_: pa.DataType) -> pa.DataType:
        if is_variant(type_):
            return type_
        if types.is_struct(type_):
            return pa.struct([self._physical(field) for field in type_])
        if types.is_list(type_):
            element = type_.value_field
            return pa.list_(element.with_type(self._type(element.type)))
        if types.is_map(type_):
            key, item = type_.key_field, type_.item_field
            return pa.map_(
                key.with_type(self._type(key.type)), item.with_type(self._type(item.type))
            )
        return type_


def named(
    schema: pa.Schema, configuration: Mapping[str, str], new_name: Callable[[], str]
) -> pa.Schema:
    """The schema of a mapped table with a name and an id for each field that lacks them.

    Args:
        schema: In names of columns; fields that are there have their metadata.
        configuration: The table's, which tells the greatest id there ever was.
        new_name: Gives names that nobody has.
    """
    counter = count(max(greatest_id(schema), _known_id(configuration)) + 1)
    return pa.schema(_named(schema, counter, new_name), metadata=schema.metadata)


def greatest_id(schema: pa.Schema) -> int:
    """The greatest id of a mapped table's fields; 0 if they have none."""
    metadata = (field.metadata or {} for _, field in walk(schema))
    return max((int(each[_ID]) for each in metadata if _ID in each), default=0)


def with_greatest_id(configuration: Mapping[str, str], schema: pa.Schema) -> dict[str, str]:
    """The properties of a mapped table that has columns of these ids."""
    greatest = max(greatest_id(schema), _known_id(configuration))
    return {**configuration, _GREATEST: str(greatest)}


def _known_id(configuration: Mapping[str, str]) -> int:
    text = configuration.get(_GREATEST, "0")
    return int(text) if text.isdecimal() else 0


def _named(
    fields: Iterable[pa.Field], counter: Iterator[int], new_name: Callable[[], str]
) -> list[pa.Field]:
    found = []
    for field in fields:
        facts = dict(field.metadata or {})
        if _ID not in facts:
            facts[_ID] = str(next(counter)).encode()
            facts[_NAME] = json.dumps(new_name()).encode()
        kind = _named_type(field.type, counter, new_name)
        found.append(field.with_type(kind).with_metadata(facts))
    return found


def _named_type(
    kind: pa.DataType, counter: Iterator[int], new_name: Callable[[], str]
) -> pa.DataType:
    if types.is_struct(kind) and not is_variant(kind):
        return pa.struct(_named(kind, counter, new_name))
    if types.is_list(kind):
        element = kind.value_field
        return pa.list_(element.with_type(_named_type(element.type, counter, new_name)))
    if types.is_map(kind):
        key, item = (
            each.with_type(_named_type(each.type, counter, new_name))
            for each in (kind.key_field, kind.item_field)
        )
        return pa.map_(key, item)
    return kind


NO_MAPPING = ColumnMapping()
"""Columns are called in files and log what the schema calls them."""


def column_mapping(protocol: Protocol, metadata: Metadata) -> ColumnMapping:
    """The column mapping of a table.

    Raises:
        CorruptLog: A mode that there is not.
    """
    mode = metadata.configuration.get(_PROPERTY, "none").lower()
    if not _supported(protocol) or mode == "none":
        return NO_MAPPING
    if mode == "name":
        return ColumnMapping("name")
    if mode == "id":
        return ColumnMapping("id")
    raise CorruptLog(f"{LOG_FOLDER}: no {_PROPERTY} {mode!r}", path=LOG_FOLDER, version=None)


def _supported(protocol: Protocol) -> bool:
    if protocol.min_reader_version >= _READER_WITH_FEATURES:
        return _FEATURE in (protocol.reader_features or ())
    return protocol.min_reader_version == _READER_WITH_MAPPING


def _value(field: pa.Field, key: bytes, kind: type[str] | type[int]) -> Any:
    text = (field.metadata or {}).get(key)
    try:
        value = None if text is None else json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise CorruptLog(
            f"{LOG_FOLDER}: column {field.name!r} of a mapped table lacks {key.decode()}",
            path=LOG_FOLDER,
            version=None,
        )
    return value
