"""Intents as objects: how a writer that waits tells the others what it wants.

An intent is posted at `_atomic_manifest/intents/{base version:020}-{commit id}.json`: keys sort by how long
their writers have waited, without clocks. The first line is a JSON header, the others are the actions
as they will stand in the entry. Delta readers skip folders that begin with `_`.

Error semantics: what is not an intent of this rule version is None, never an error: it is left alone, so
that newer writers can change the rules.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from atomic_manifest.commit.combine import Candidate
from atomic_manifest.commit.intent import (
    Intent,
    Isolation,
    ReadNothing,
    ReadPartitions,
    ReadRows,
    ReadSet,
    ReadTable,
)
from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.actions import Metadata, Protocol
from atomic_manifest.log.entry import CommitRecord, decode, decode_rewritten, encode
from atomic_manifest.log.pruning.predicate import from_json as predicate_from_json
from atomic_manifest.log.pruning.predicate import to_json as predicate_to_json

FOLDER = "_atomic_manifest/intents"
RULE_VERSION = 1
LIFETIME = 64
"""Versions after its base that may hold a posted intent."""

_VERSION_DIGITS = 20


class _Header(msgspec.Struct, rename="camel", omit_defaults=True):
    rule: int
    id: str
    base: int
    expires: int
    operation: str
    isolation: str
    reads: dict[str, Any]
    parameters: dict[str, str] = {}
    txn: tuple[str, int] | None = None
    info: dict[str, Any] = {}
    members: tuple[CommitRecord, ...] = ()
    metadata: msgspec.Raw = msgspec.Raw()
    protocol: msgspec.Raw = msgspec.Raw()


def key_of(intent: Intent) -> str:
    """Where an intent is posted, relative to the table's root."""
    return f"{FOLDER}/{intent.base_version:0{_VERSION_DIGITS}}-{intent.commit_id}.json"


def id_in(key: str) -> str:
    """The commit id in a key."""
    return key.rpartition("/")[2][_VERSION_DIGITS + 1 :].removesuffix(".json")


def encode_intent(candidate: Candidate) -> bytes:
    """The object's bytes."""
    intent = candidate.intent
    assert candidate.expires is not None  # noqa: S101 - a posted intent always expires
    header = _Header(
        rule=RULE_VERSION,
        id=intent.commit_id,
        base=intent.base_version,
        expires=candidate.expires,
        operation=intent.operation,
        isolation=intent.isolation.value,
        reads=_reads_to_json(intent.reads),
        parameters=dict(intent.parameters),
        txn=intent.txn,
        info=dict(intent.user_info),
        members=intent.members,
        metadata=_action(intent.base_metadata),
        protocol=_action(intent.base_protocol),
    )
    return msgspec.json.encode(header) + b"\n" + candidate.body


def decode_intent(key: str, data: bytes) -> Candidate | None:
    """Read an object back; None if it is no intent that this version of the rules understands."""
    line, _, body = data.partition(b"\n")
    try:
        header = msgspec.json.decode(line, type=_Header)
        if header.rule != RULE_VERSION or not body:
            return None
        entry = decode(body, header.base)
        intent = Intent(
            commit_id=header.id,
            base_version=header.base,
            actions=(*entry.txns, *entry.removes, *entry.adds),
            operation=header.operation,
            parameters=header.parameters,
            reads=_reads_from_json(header.reads),
            isolation=Isolation(header.isolation),
            txn=header.txn,
            base_metadata=_decoded(header.metadata, Metadata),
            base_protocol=_decoded(header.protocol, Protocol),
            user_info=header.info,
            members=header.members,
        )
    except (msgspec.MsgspecError, CorruptLog, ValueError, KeyError, TypeError):
        return None
    if key_of(intent) != key or entry.metadata is not None or entry.protocol is not None:
        return None
    return Candidate(intent, body, key, header.expires)


def _action(action: Metadata | Protocol | None) -> msgspec.Raw:
    if action is None:
        return msgspec.Raw(b"null")
    (fields,) = msgspec.json.decode(encode([action]), type=dict[str, msgspec.Raw]).values()
    return fields


def _decoded(raw: msgspec.Raw, kind: type[Any]) -> Any:
    return None if bytes(raw) in (b"", b"null") else decode_rewritten(raw, kind)


def _reads_to_json(reads: ReadSet) -> dict[str, Any]:
    match reads:
        case ReadNothing():
            return {"kind": "nothing"}
        case ReadTable():
            return {"kind": "table"}
        case ReadPartitions(partitions):
            return {"kind": "partitions", "partitions": [dict(values) for values in partitions]}
        case ReadRows(predicate, types):
            return {
                "kind": "rows",
                "predicate": msgspec.Raw(predicate_to_json(predicate)),
                "types": dict(types),
            }


def _reads_from_json(fields: Mapping[str, Any]) -> ReadSet:
    match fields["kind"]:
        case "nothing":
            return ReadNothing()
        case "table":
            return ReadTable()
        case "partitions":
            return ReadPartitions(
                frozenset(frozenset(values.items()) for values in fields["partitions"])
            )
        case "rows":
            predicate = predicate_from_json(msgspec.json.encode(fields["predicate"]))
            return ReadRows(predicate, fields["types"])
        case kind:
            raise ValueError(f"unknown kind of read set: {kind!r}")
