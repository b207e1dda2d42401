"""One entry of the log: `_delta_log/{version:020}.json`, one JSON action a line.

Every entry this library writes names the commits it holds and the table it is for, in
`commitInfo.atomicManifest = {"commits": [{"id", "operation", "txn"?, "info"?}], "table", "revoked"?: [id]}`
(older ones name no table): the log itself answers "did I commit?", one entry can hold several commits, and
an entry can declare that a commit will never be. To any other engine it is a plain Delta commit.

Error semantics: bytes that are not an entry raise `CorruptLog` naming the file, the version and the
line. Unknown actions and unknown fields are ignored, as the protocol asks of readers.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias, TypeVar

import msgspec

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import (
    Action,
    Add,
    Cdc,
    CommitInfo,
    DomainMetadata,
    Metadata,
    Protocol,
    Remove,
    Txn,
)
from atomic_manifest.log.seal import ENTRY_SEAL, check_entry, has_no_seal, sealed_entry

LOG_FOLDER = "_delta_log"
_PROVENANCE = "atomicManifest"
_OURS = b'"' + _PROVENANCE.encode()
_OF_CHECKPOINTS = {"checkpointMetadata", "sidecar"}
_T = TypeVar("_T")


Mark: TypeAlias = tuple[int, int]
"""The size of an entry and the CRC-32 of its beginning: two entries of one version have two."""

MARKED_BYTES = 16 * 1024
"""How much of an entry its mark is of; what tells it from others stands there."""


def mark_of(data: bytes, size: int | None = None) -> Mark:
    """The mark of an entry.

    Args:
        data: Its bytes, or the first `MARKED_BYTES` of them.
        size: Of all of it, if these are not.
    """
    return len(data) if size is None else size, zlib.crc32(memoryview(data)[:MARKED_BYTES])


def entry_path(version: int) -> str:
    """The path of version `version`'s entry, relative to the table's root."""
    return f"{LOG_FOLDER}/{_name(version)}"


def _name(version: int) -> str:
    return f"{version:020}.json"


class CommitRecord(
    msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", forbid_unknown_fields=False
):
    """One commit inside an entry.

    Attributes:
        id: The commit id, the same over all attempts of one logical commit.
        operation: What the writer did, in Delta's words (`WRITE`, `CREATE TABLE`).
        txn: (application id, version) if the writer gave one.
        info: The writer's own `commitInfo` fields.
    """

    id: str
    operation: str
    txn: tuple[str, int] | None = None
    info: Mapping[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One committed version, decoded.

    `table` is the id of the table it was made for, if this library made it; `mark` tells its bytes from
    those of others.
    """

    version: int
    protocol: Protocol | None = None
    metadata: Metadata | None = None
    adds: tuple[Add, ...] = ()
    removes: tuple[Remove, ...] = ()
    txns: tuple[Txn, ...] = ()
    cdcs: tuple[Cdc, ...] = ()
    domain_metadata: tuple[DomainMetadata, ...] = ()
    commit_info: Mapping[str, Any] | None = None
    commits: tuple[CommitRecord, ...] = ()
    revoked: frozenset[str] = frozenset()
    table: str | None = None
    mark: Mark | None = field(default=None, compare=False, repr=False)

    def holds(self, commit_id: str) -> bool:
        """Whether the commit with this id is part of the entry."""
        return any(record.id == commit_id for record in self.commits)

    @property
    def blind_append(self) -> bool:
        """Whether the writer says that it read nothing (`commitInfo.isBlindAppend`)."""
        return bool(self.commit_info and self.commit_info.get("isBlindAppend"))


class _Line(msgspec.Struct, rename="camel"):
    """One line: an object with one key, the action's name."""

    add: Add | None = None
    remove: Remove | None = None
    txn: Txn | None = None
    cdc: Cdc | None = None
    meta_data: msgspec.Raw = msgspec.Raw()
    protocol: msgspec.Raw = msgspec.Raw()
    domain_metadata: DomainMetadata | None = None
    commit_info: dict[str, Any] | None = None


_LINE = msgspec.json.Decoder(_Line)
_ANY_LINE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.Encoder()
_Rewritten = TypeVar("_Rewritten", Metadata, Protocol)


def decode(data: bytes, version: int) -> Entry:
    """Decode an entry's bytes.

    Raises:
        CorruptLog: Not JSON lines, an action without a required field or with one of a wrong type, two
            `metaData` or two `protocol` actions, or not what was sealed.
    """
    try:
        if not data:
            raise msgspec.ValidationError("the file is empty")
        sealed = check_entry(data, _name(version))
        lines = _LINE.decode_lines(data)
        if not all(map(_is_plain, lines)):
            _check_names(data)
        entry = _collect(lines, version, mark_of(data))
        if entry.commits and not sealed:
            raise msgspec.ValidationError("it names commits of ours, and has lost its seal")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        path = entry_path(version)
        raise CorruptLog(
            f"{path}: {_first_bad_line(data)}{error}",
            path=path,
            version=version,
            damaged=not _is_whole(data, error),
        ) from error
    return entry


def _is_whole(data: bytes, error: Exception) -> bool:
    """Whether refused bytes are all that somebody else wrote, as far as it shows."""
    if not data or _OURS in data or not isinstance(error, msgspec.ValidationError):
        return False
    return has_no_seal(data)


def _is_plain(line: _Line) -> bool:
    """Whether a line is certainly one of an entry: a hint and a checksum are JSON too."""
    return (
        line.add is not None
        or line.commit_info is not None
        or line.remove is not None
        or line.txn is not None
        or line.cdc is not None
        or line.domain_metadata is not None
    )


def _check_names(data: bytes) -> None:
    """Check that each line is an object with one member, an action, known or not."""
    for line in filter(bytes.strip, data.split(b"\n")):
        found = {name: bytes(raw) for name, raw in _ANY_LINE.decode(line).items()}
        present = [value for value in found.values() if value != b"null"]
        if len(present) != 1 or not present[0].startswith(b"{"):
            raise msgspec.ValidationError("a line is not one action")
        if found.keys() & _OF_CHECKPOINTS:
            raise msgspec.ValidationError("it is a checkpoint")


def _collect(lines: Sequence[_Line], version: int, mark: Mark) -> Entry:
    info = next((line.commit_info for line in lines if line.commit_info is not None), None)
    return Entry(
        version,
        protocol=_single([line.protocol for line in lines], Protocol, "protocol"),
        metadata=_single([line.meta_data for line in lines], Metadata, "metaData"),
        adds=tuple(line.add for line in lines if line.add is not None),
        removes=tuple(line.remove for line in lines if line.remove is not None),
        txns=tuple(line.txn for line in lines if line.txn is not None),
        cdcs=tuple(line.cdc for line in lines if line.cdc is not None),
        domain_metadata=tuple(
            line.domain_metadata for line in lines if line.domain_metadata is not None
        ),
        commit_info=info,
        commits=_provenance(info, "commits", tuple[CommitRecord, ...], ()),
        revoked=_provenance(info, "revoked", frozenset[str], frozenset()),
        table=_provenance(info, "table", str, None),
        mark=mark,
    )


def _single(raws: list[msgspec.Raw], kind: type[_Rewritten], name: str) -> _Rewritten | None:
    present = [raw for raw in raws if bytes(raw) not in (b"", b"null")]
    if not present:
        return None
    if len(present) > 1:
        raise msgspec.ValidationError(f"more than one `{name}` action in one entry")
    return decode_rewritten(present[0], kind)


def decode_rewritten(raw: bytes | msgspec.Raw, kind: type[_Rewritten]) -> _Rewritten:
    """Decode a `Metadata` or `Protocol`, keeping unknown fields in `extra`."""
    action = msgspec.json.decode(raw, type=kind)
    known = _fields_of(kind)
    fields: dict[str, Any] = msgspec.json.decode(raw)
    extra = {name: value for name, value in fields.items() if name not in known}
    return msgspec.structs.replace(action, extra=extra) if extra else action


@cache
def _fields_of(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The names of a struct's fields in JSON, which `msgspec` works out anew each time."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(kind))


def _provenance(info: Mapping[str, Any] | None, name: str, kind: type[_T], absent: _T) -> _T:
    """Our own part of a commitInfo; another engine's entry has none. Never fails: it is provenance."""
    try:
        return msgspec.convert((info or {})[_PROVENANCE][name], type=kind)
    except (KeyError, TypeError, msgspec.ValidationError):
        return absent


def _first_bad_line(data: bytes) -> str:
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            if line.strip():
                _LINE.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return f"line {number}: "
    return ""


def encode(actions: Iterable[Action]) -> bytes:
    """Encode actions as an entry's bytes, one line each, in the given order."""
    return b"".join(_ENCODE.encode(_as_line(action)) + b"\n" for action in actions)


_NAMES: dict[type[Any], str] = {
    Add: "add",
    Remove: "remove",
    Txn: "txn",
    Cdc: "cdc",
    DomainMetadata: "domainMetadata",
    Metadata: "metaData",
    Protocol: "protocol",
}


def seal(data: bytes, version: int) -> bytes:
    """The bytes of an entry, the first action of which is its `commitInfo`, with a seal in that."""
    return sealed_entry(data, _name(version))


def _as_line(action: Action) -> dict[str, Any]:
    match action:
        case CommitInfo(fields=fields):
            return {"commitInfo": fields}
        case Metadata() | Protocol():
            return {_NAMES[type(action)]: _with_extra(action)}
        case _:
            return {_NAMES[type(action)]: action}


def _with_extra(action: Metadata | Protocol) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(action)
    fields.pop("extra", None)
    return fields | dict(action.extra or {})


def commit_info(
    commits: Sequence[CommitRecord],
    *,
    timestamp_ms: int,
    operation: str,
    parameters: Mapping[str, str],
    read_version: int | None,
    isolation: str,
    blind_append: bool,
    engine: str,
    user: Mapping[str, Any] | None = None,
    revoked: Sequence[str] = (),
    table: str | None = None,
) -> CommitInfo:
    """The `commitInfo` of an entry of ours that holds `commits`.

    Args:
        commits: The commits in the entry, in the order they take effect.
        timestamp_ms: Wall clock, milliseconds since the Unix epoch.
        operation: Delta's operation name, for `history()` of any engine.
        parameters: Delta's `operationParameters`, text to text.
        read_version: The version the entry was rebased on; None when it creates the table.
        isolation: Delta's name: `Serializable` or `WriteSerializable`.
        blind_append: Whether nothing of the table was read.
        engine: Name and version of this library.
        user: The user's own fields; ours win over fields of the same name.
        revoked: Ids of commits that shall never be in the log.
        table: The id of the table it is made for.
    """
    provenance: dict[str, Any] = {"commits": [msgspec.to_builtins(record) for record in commits]}
    if table is not None:
        provenance["table"] = table
    if revoked:
        provenance["revoked"] = list(revoked)
    fields = {name: value for name, value in (user or {}).items() if name != ENTRY_SEAL}
    fields |= {
        "timestamp": timestamp_ms,
        "operation": operation,
        "operationParameters": dict(parameters),
        "isolationLevel": isolation,
        "isBlindAppend": blind_append,
        "engineInfo": engine,
        "txnId": commits[0].id,
        _PROVENANCE: provenance,
    }
    if read_version is not None:
        fields["readVersion"] = read_version
    return CommitInfo(fields=fields)
