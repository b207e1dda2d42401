"""Intents as objects: how a writer that waits tells the others what it wants.

An intent is posted at `_atomic_manifest/intents/{base version:020}-{commit id}.json`: keys sort by how long
their writers have waited, without clocks. The first line is a JSON header, the others are the actions
as they will stand in the entry. Delta readers skip folders that begin with `_`.

An intent is good for `LIFETIME` versions and for `LIFETIME_SECONDS` on the store's clock, which is as good
for all writers: a writer is done by then, or dead. Whatever is older may be deleted. A copy of a table's
folder holds posted intents too, whose files it may lack; that is why the age of the object is asked, and
whether the object is much younger than its writer says.

Error semantics: what is not an intent of this rule version, or would make an entry that readers refuse,
is None, never an error: it is left alone, so that newer writers can change the rules. Whatever reading it
raises means the same, since anybody can put anything there.
"""

import re
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
from atomic_manifest.commit.sound import check_sound
from atomic_manifest.log.actions import Metadata, Protocol
from atomic_manifest.log.entry import CommitRecord, decode, decode_rewritten, encode
from atomic_manifest.log.pruning.predicate import from_json as predicate_from_json
from atomic_manifest.log.pruning.predicate import to_json as predicate_to_json

FOLDER = "_atomic_manifest/intents"
RULE_VERSION = 1
LIFETIME = 64
"""Versions after its base that may hold a posted intent."""
LIFETIME_SECONDS = 300.0
"""For so long a posted intent may be committed: more than twice the time that a commit may take."""

_VERSION_DIGITS = 20
_KEY = re.compile(rf"{FOLDER}/([0-9]{{{_VERSION_DIGITS}}})-[^/]+\.json")


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
    posted_ms: int | None = None


def key_of(intent: Intent) -> str:
    """Where an intent is posted, relative to the table's root."""
    return f"{FOLDER}/{intent.base_version:0{_VERSION_DIGITS}}-{intent.commit_id}.json"


def id_in(key: str) -> str:
    """The commit id in a key."""
    return key.rpartition("/")[2][_VERSION_DIGITS + 1 :].removesuffix(".json")


def base_in(key: str) -> int | None:
    """The base version in a key; None if no intent is called so."""
    match = _KEY.fullmatch(key)
    return None if match is None else int(match[1])


def encode_intent(candidate: Candidate, unix_ms: int | None = None) -> bytes:
    """The object's bytes.

    Args:
        candidate: What to post.
        unix_ms: Wall clock of the writer.
    """
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
        posted_ms=unix_ms,
    )
    return msgspec.json.encode(header) + b"\n" + candidate.body


def decode_intent(key: str, data: bytes, modified: float | None = None) -> Candidate | None:
    """Read an object back; None if it is no intent that this version of the rules understands.

    Args:
        key: Where it is.
        data: Its bytes.
        modified: When the store took it, in seconds since the Unix epoch; None if that is not known.
    """
    try:
        candidate = _decode(key, data, modified)
        check_sound(candidate)
    except Exception:  # noqa: BLE001 - see the module docstring
        return None
    return candidate


def _decode(key: str, data: bytes, modified: float | None) -> Candidate:
    line, _, body = data.partition(b"\n")
    header = msgspec.json.decode(line, type=_Header)
    if (
        header.rule != RULE_VERSION
        or not 0 <= header.base < header.expires <= header.base + LIFETIME
    ):
        raise ValueError("of other rules")
    if modified is not None and header.posted_ms is not None:
        _check_is_original(header.posted_ms, modified)
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
    # What goes into the log is what was understood: its lines are those that encoding it gives. One that
    # says more, or says it twice, or in another form than writers under these rules, is not passed on.
    understood = encode(intent.actions)
    if key_of(intent) != key or sorted(understood.split(b"\n")) != sorted(body.split(b"\n")):
        raise ValueError("it says more than was understood")
    return Candidate(intent, body, key, header.expires, is_foreign=True)


def _check_is_original(posted_ms: int, modified: float) -> None:
    """Refuse an object that was made long after its writer posted it: it is a copy."""
    if modified - posted_ms / 1000 > LIFETIME_SECONDS:
        raise ValueError("it was copied here")


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
            partitions = msgspec.convert(fields["partitions"], list[dict[str, str | None]])
            return ReadPartitions(frozenset(frozenset(values.items()) for values in partitions))
        case "rows":
            predicate = predicate_from_json(msgspec.json.encode(fields["predicate"]))
            return ReadRows(predicate, msgspec.convert(fields["types"], dict[str, str]))
        case kind:
            raise ValueError(f"unknown kind of read set: {kind!r}")
