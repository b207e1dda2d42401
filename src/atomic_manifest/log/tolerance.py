"""Reads lines of other engines' entries as far as a reader needs them.

Rules: what no reader needs stops nobody. A line without an action says nothing, and neither does one whose
only member is an action of the future, whatever its value. Times may be fractions; tags, properties and
descriptions may be of other types than text, or null. What decides which rows a table has is as the
protocol says, or refused.

Lines that are sealed are our own and never come here.

Error semantics: `msgspec.MsgspecError` for what cannot be read so.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from atomic_manifest.log.actions import Add, Cdc, DomainMetadata, Int64, Remove, Txn

OF_CHECKPOINTS = frozenset({"checkpointMetadata", "sidecar"})
"""Actions that no entry has."""

_KINDS: dict[str, type[msgspec.Struct]] = {
    "add": Add,
    "remove": Remove,
    "txn": Txn,
    "domainMetadata": DomainMetadata,
    "cdc": Cdc,
}
_UNNEEDED: dict[str, tuple[str, ...]] = {
    "add": ("stats", "tags", "clusteringProvider"),
    "remove": ("stats", "tags", "size", "deletionTimestamp", "extendedFileMetadata"),
    "txn": ("lastUpdated",),
    "cdc": ("tags", "size", "dataChange"),
    "metaData": ("createdTime", "name", "description", "format"),
}
_TIMES = ("modificationTime", "deletionTimestamp", "lastUpdated", "createdTime")
_TEXTS = ("tags", "configuration")
_LIMIT = 2**63


def read_line(line: bytes) -> tuple[str, Any] | None:
    """The action of a line: its name, and what it is; None if there is none that a reader knows.

    `metaData` and `protocol` are given as they stand in JSON, and `commitInfo` as it was decoded.

    Raises:
        msgspec.MsgspecError: See the module.
    """
    found = msgspec.json.decode(line)
    if not isinstance(found, dict):
        raise msgspec.ValidationError("a line is no JSON object")
    present = {name: value for name, value in found.items() if value is not None}
    if len(present) > 1:
        raise msgspec.ValidationError("a line is not one action")
    if present.keys() & OF_CHECKPOINTS:
        raise msgspec.ValidationError("it is a checkpoint")
    for name, value in present.items():
        return _READ[name](name, value) if name in _READ else None
    return None


def _info(name: str, value: Any) -> tuple[str, Any] | None:
    return (name, value) if isinstance(value, dict) else None


def _rewritten(name: str, value: Any) -> tuple[str, Any]:
    return name, msgspec.json.encode(_mended(name, _object(name, value)))


def _action(name: str, value: Any) -> tuple[str, Any] | None:
    fields = _mended(name, _object(name, value))
    try:
        return name, msgspec.convert(fields, _KINDS[name])
    except msgspec.ValidationError:
        if name == "cdc":  # it is for those who read changes
            return None
        raise


_READ: dict[str, Callable[[str, Any], tuple[str, Any] | None]] = {
    **dict.fromkeys(_KINDS, _action),
    "commitInfo": _info,
    "metaData": _rewritten,
    "protocol": _rewritten,
}


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise msgspec.ValidationError(f"`{name}` is no JSON object")
    return value


def _mended(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an action, with what no reader needs as it should be, or left out."""
    mended = dict(fields)
    for field in _TIMES:
        if field in mended:
            mended[field] = _time(mended[field])
    for field in _TEXTS:
        if isinstance(mended.get(field), dict):
            mended[field] = _texts(mended[field])
    kind = _KINDS.get(name)
    for field in _UNNEEDED.get(name, ()):
        if field in mended and not _fits(kind, field, mended[field]):
            del mended[field]
    return mended


def _time(value: Any) -> Any:
    """Whole milliseconds."""
    if isinstance(value, float) and math.isfinite(value) and abs(value) < _LIMIT:
        return int(value)
    return value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as text, as JSON spells what is none; without nulls."""
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in values.items()
        if value is not None
    }


_OF_METADATA: dict[str, Any] = {
    "createdTime": Int64,
    "name": str,
    "description": str,
}


def _fits(kind: type[msgspec.Struct] | None, field: str, value: Any) -> bool:
    if field == "format":
        return isinstance(value, dict) and isinstance(value.get("provider"), str)
    if kind is None:
        wanted = _OF_METADATA[field]
    else:
        wanted = next(f.type for f in msgspec.structs.fields(kind) if f.encode_name == field)
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True
