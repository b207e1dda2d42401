"""One entry of the log: `_delta_log/{version:020}.json`, one JSON action a line.

Every entry this library writes names the commits it holds and the table it is for, in
`commitInfo.atomicManifest = {"commits": [{"id", "operation", "txn"?, "info"?}], "table", "revoked"?: [id]}`
(older ones name no table): the log itself answers "did I commit?", one entry can hold several commits, and
an entry can declare that a commit will never be. To any other engine it is a plain Delta commit.

Error semantics: bytes that are not an entry raise `CorruptLog` naming the file, the version and the
line, or the action. Unknown actions and unknown fields are ignored, as the protocol asks of readers.
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
from atomic_manifest.log.tolerance import read_line

LOG_FOLDER = "_delta_log"
_PROVENANCE = "atomicManifest"
_OURS = b'"' + _PROVENANCE.encode()
_REQUIRED: Mapping[type[Any], Sequence[str]] = {Metadata: ("partitionColumns", "configuration")}
"""Fields without which a table would be another one, beside those without a default."""
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
    `faults` says what is wrong with a `metaData` or `protocol` of another engine's, by the action's name:
    nobody needs it once a later one has replaced it. It is empty unless asked for (`decode`).
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
    faults: Mapping[str, CorruptLog] = field(default_factory=dict)

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


_MEMBERS = {field.encode_name: field.name for field in msgspec.structs.fields(_Line)}
_LINE = msgspec.json.Decoder(_Line)
_ENCODE = msgspec.json.Encoder()
_Rewritten = TypeVar("_Rewritten", Metadata, Protocol)


def decode(data: bytes, version: int, *, superseded: bool = False) -> Entry:
    """Decode an entry's bytes.

    Of several `metaData` or `protocol` actions the last one counts. Entries without a seal, of other
    engines, are read as far as readers need them (`log.tolerance`).

    Args:
        data: The object.
        version: Its version.
        superseded: Whether a later entry may replace the `metaData` and the `protocol`: what is wrong with
            them is then in the entry's `faults`.

    Raises:
        CorruptLog: Not JSON lines, an action without a required field or with one of a wrong type, or not
            what was sealed.
    """
    path = entry_path(version)
    try:
        if not data:
            raise msgspec.ValidationError("the file is empty")
        sealed = check_entry(data, _name(version))
        entry = _collect(_lines(data, sealed=sealed), version, path, mark_of(data))
        if entry.commits and not sealed:
            raise msgspec.ValidationError("it names commits of ours, and has lost its seal")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CorruptLog(
            f"{path}: {_first_bad_line(data)}{error}",
            path=path,
            version=version,
            damaged=not _is_whole(data, error),
        ) from error
    for fault in entry.faults.values():
        if sealed or not superseded:
            raise fault
    return entry


def _is_whole(data: bytes, error: Exception) -> bool:
    """Whether refused bytes are all that somebody else wrote, as far as it shows."""
    if not data or _OURS in data or not isinstance(error, msgspec.ValidationError):
        return False
    return has_no_seal(data)


def _lines(data: bytes, *, sealed: bool) -> Sequence[_Line]:
    try:
        lines = _LINE.decode_lines(data)
        if all(map(_is_plain, lines)):
            return lines
    except msgspec.ValidationError:
        if sealed:
            raise
    return [_tolerated(line) for line in data.split(b"\n") if line.strip()]


def _tolerated(line: bytes) -> _Line:
    found = read_line(line)
    return _Line() if found is None else _Line(**{_MEMBERS[found[0]]: _as_member(*found)})


def _as_member(name: str, value: Any) -> Any:
    return msgspec.Raw(value) if name in ("metaData", "protocol") else value


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


def _collect(lines: Sequence[_Line], version: int, path: str, mark: Mark) -> Entry:
    info = next((line.commit_info for line in lines if line.commit_info is not None), None)
    faults: dict[str, CorruptLog] = {}

    def last(raws: Iterable[msgspec.Raw], kind: type[_Rewritten], name: str) -> _Rewritten | None:
        present = [raw for raw in raws if bytes(raw) not in (b"", b"null")]
        try:
            return decode_rewritten(present[-1], kind) if present else None
        except (msgspec.MsgspecError, RecursionError) as error:
            message = f"{path}: `{name}`: {error}"
            faults[name] = CorruptLog(message, path=path, version=version, damaged=False)
            return None

    return Entry(
        version,
        protocol=last((line.protocol for line in lines), Protocol, "protocol"),
        metadata=last((line.meta_data for line in lines), Metadata, "metaData"),
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
        faults=faults,
    )


def decode_rewritten(raw: bytes | msgspec.Raw, kind: type[_Rewritten]) -> _Rewritten:
    """Decode a `Metadata` or `Protocol`, keeping unknown fields in `extra`."""
    action = msgspec.json.decode(raw, type=kind)
    known = _fields_of(kind)
    fields: dict[str, Any] = msgspec.json.decode(raw)
    for name in _REQUIRED.get(kind, ()):
        if fields.get(name) is None:
            raise msgspec.ValidationError(f"Object missing required field `{name}`")
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
