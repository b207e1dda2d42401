"""Check what another writer's intent would put into the log as a reader of the table will.

Whoever leads writes for others, whom nobody can ask. An entry that the table's readers refuse would end
the table for everybody, so an intent that would make one is as good as none.

Error semantics: what is not sound raises `CorruptLog` or `ValueError`; as the bytes are somebody
else's, callers have to be ready for any other `Exception` too.
"""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from atomic_manifest.commit.combine import Candidate, render
from atomic_manifest.commit.conflicts import differences
from atomic_manifest.commit.intent import Intent
from atomic_manifest.log.actions import Add, Int64, Metadata, Protocol, Remove
from atomic_manifest.log.entry import decode
from atomic_manifest.log.path import decode_file_path
from atomic_manifest.log.pruning import bounds

_MAPPED = "delta.columnMapping.mode"
_PHYSICAL = "delta.columnMapping.physicalName"
_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_ANY_TEXT = ("string", "binary")


class _Statistics(msgspec.Struct, rename="camel"):
    num_records: Int64 | None = None
    min_values: dict[str, Any] | None = None
    max_values: dict[str, Any] | None = None
    null_count: dict[str, Any] | None = None
    tight_bounds: bool | None = None


def check_sound(candidate: Candidate) -> None:
    """Check an intent of another writer's that was decoded, and the entry it would make alone.

    Raises:
        CorruptLog, ValueError: A reader would refuse the entry, or read another one than was meant.
    """
    intent = candidate.intent
    _check_entry(candidate)
    metadata, protocol = intent.base_metadata, intent.base_protocol
    if metadata is None or protocol is None:
        raise ValueError("it does not tell what table it is for")
    columns = _partition_types(
        metadata.schema_string, tuple(metadata.partition_columns), _is_mapped(metadata, protocol)
    )
    _check_files(intent.actions, columns)


def _check_entry(candidate: Candidate) -> None:
    intent = candidate.intent
    version = intent.base_version + 1
    entry = decode(render([candidate], version, 0), version)
    if entry.commits != intent.records:
        raise ValueError("its commits would not be found in the log")
    if (*entry.txns, *entry.removes, *entry.adds) != tuple(intent.actions):
        raise ValueError("its actions would not be found in the log")
    ids = [record.id for record in intent.records]
    if len({*ids}) < len(ids) or intent.commit_id not in ids:
        raise ValueError("its commits are not told apart")


def _check_files(actions: Iterable[Any], columns: Mapping[str, str | None]) -> None:
    for action in actions:
        if not isinstance(action, Add | Remove):
            continue
        decode_file_path(action.path, version=None)
        if action.stats is not None:
            _check_statistics(action.stats)
        if (action.size or 0) < 0:
            raise ValueError("a size below zero")
        if isinstance(action, Add):
            if action.deletion_vector is not None:
                raise ValueError("writers under these rules add no deletion vectors")
            _check_partition(action.partition_values, columns)


def _check_statistics(text: str) -> None:
    found = msgspec.json.decode(text, type=_Statistics)
    if (found.num_records or 0) < 0:
        raise ValueError("fewer rows than none")


def _check_partition(values: Mapping[str, str | None], columns: Mapping[str, str | None]) -> None:
    if values.keys() != columns.keys():
        raise ValueError("the values of other columns than the table is partitioned by")
    for name, text in values.items():
        kind = columns[name]
        if text and kind is not None and not _is_value(text, kind):
            raise ValueError("a partition value of another type than its column's")


def _is_value(text: str, kind: str) -> bool:
    if kind in _ANY_TEXT:
        return True
    value = bounds.of_partition(text, kind)
    if value == bounds.UNKNOWN:
        return False
    if (bits := _BITS.get(kind)) is not None:
        return bool(-(1 << bits - 1) <= value.low < 1 << bits - 1)
    if isinstance(value.low, Decimal):
        precision, scale = map(int, kind[len("decimal(") : -1].split(","))
        context = Context(prec=precision, traps=[InvalidOperation, Inexact])
        value.low.quantize(Decimal(1).scaleb(-scale), context=context)
    return True


def _is_mapped(metadata: Metadata, protocol: Protocol) -> bool:
    return (
        metadata.configuration.get(_MAPPED, "none").lower() != "none"
        and protocol.min_reader_version > 1
    )


@lru_cache(maxsize=64)
def _partition_types(
    schema: str,
    partition_columns: tuple[str, ...],
    is_mapped: bool,  # noqa: FBT001 - a cache's key
) -> Mapping[str, str | None]:
    """Delta's type of each partition column, by the name that the log uses; None if it is not told."""
    try:
        fields = {field["name"]: field for field in msgspec.json.decode(schema)["fields"]}
    except msgspec.DecodeError:
        return dict.fromkeys(partition_columns)
    found = {}
    for name in partition_columns:
        field = fields[name]
        physical = field["metadata"][_PHYSICAL] if is_mapped else name
        found[physical] = field["type"] if isinstance(field["type"], str) else None
    return found


def same_table(mine: Intent, other: Intent) -> bool:
    """Whether another writer's intent is for the table as this one knows it."""
    ours, theirs = mine.base_metadata, other.base_metadata
    return (
        ours is not None
        and theirs is not None
        and ours.id == theirs.id
        and not any(differences(ours, theirs))
        and mine.base_protocol == other.base_protocol
    )
