"""`_last_checkpoint`: where the end of the log is near (protocol, "Last Checkpoint File").

Invariants: it is only a hint. What cannot be read, or is not what its own checksum says, is as good as
missing, and then the listing alone decides. It is written with a checksum, and only ever moves forward:
each write is conditional on the hint that was read before.

Error semantics: reading it never fails but for the store's own reasons; losing the race for it is fine.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec

from atomic_manifest.errors import Conflict409, NotFound, PreconditionFailed
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.rereading import SHORTCUT_READS, read_decoded
from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.object_store import ObjectStore

HINT_PATH = f"{LOG_FOLDER}/_last_checkpoint"


class SidecarFile(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A `sidecar` action: a file of file actions (protocol, "Sidecar File Information").

    Attributes:
        path: URI-encoded; the file's name, or where it is.
        size_in_bytes: Its bytes.
        modification_time: Milliseconds since the Unix epoch.
        tags: What the writer says of it.
    """

    path: str
    size_in_bytes: int
    modification_time: int
    tags: dict[str, str | None] | None = None


class V2Hint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a hint says of a checkpoint of the V2 kind: it may hold all but the file actions.

    Attributes:
        path: Name of the top-level file.
        size_in_bytes: Its bytes.
        modification_time: Milliseconds since the Unix epoch.
        non_file_actions: The actions in it, one object with one key each; None if they are not here.
        sidecar_files: The sidecars it refers to; None if they are not here.
    """

    path: str
    size_in_bytes: int = -1
    modification_time: int = -1
    non_file_actions: list[dict[str, Any]] | None = None
    sidecar_files: list[SidecarFile] | None = None


class Hint(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The content of `_last_checkpoint` (protocol, "Last Checkpoint File Schema").

    Attributes:
        version: Of the newest checkpoint when it was written.
        size: Actions in the checkpoint.
        parts: Number of its files if more than one.
        size_in_bytes: Bytes of the checkpoint.
        num_of_add_files: Files of the table at that version.
        v2_checkpoint: Of a checkpoint of the V2 kind.
        checksum: See `checksum`.
    """

    version: int
    size: int = -1
    parts: int | None = None
    size_in_bytes: int | None = None
    num_of_add_files: int | None = None
    v2_checkpoint: V2Hint | None = None
    checksum: str | None = None


def read_hint(store: ObjectStore) -> Hint | None:
    """Read `_last_checkpoint`; None if it is missing or unusable."""
    try:
        return read_decoded(store, HINT_PATH, decode_hint, reads=SHORTCUT_READS)
    except NotFound:
        return None


def decode_hint(data: bytes) -> Hint | None:
    """Decode a hint; None if it is damaged.

    What one without a checksum says of a checkpoint's content is left out: nobody could tell if it were
    wrong.
    """
    try:
        hint = msgspec.json.decode(data, type=Hint)
        if hint.version < 0 or (hint.checksum or checksum(data)) != checksum(data):
            return None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return hint if hint.checksum else msgspec.structs.replace(hint, v2_checkpoint=None)


def encode_hint(hint: Hint) -> bytes:
    """Encode a hint with its checksum."""
    bare = msgspec.structs.replace(hint, checksum=None)
    sealed = msgspec.structs.replace(hint, checksum=checksum(msgspec.json.encode(bare)))
    return msgspec.json.encode(sealed)


def move_hint(store: ObjectStore, hint: Hint) -> None:
    """Let `_last_checkpoint` name a newer checkpoint, unless it already does or somebody else moves it."""
    when: Condition = IfAbsent()
    try:
        current = store.get(HINT_PATH)
        known = decode_hint(current.data) or read_hint(store)
        if current.meta.etag is None or (known is not None and known.version >= hint.version):
            return
        when = IfMatch(current.meta.etag)
    except NotFound:
        pass
    with suppress(PreconditionFailed, Conflict409):
        store.put(HINT_PATH, encode_hint(hint), when=when)


class _Number(str):
    """A number as it stands in the text, which is its canonical form."""

    __slots__ = ()


def checksum(data: bytes) -> str:
    """The checksum of a JSON object without its `checksum` (protocol, "JSON checksum").

    Raises:
        ValueError: Not a JSON object, or one in which a key comes twice.
    """
    return hashlib.md5(canonical(data).encode(), usedforsecurity=False).hexdigest()


def canonical(data: bytes) -> str:
    """The canonical form of a JSON object. Raises as `checksum` does."""
    document = json.loads(
        data, parse_int=_Number, parse_float=_Number, object_pairs_hook=_without_duplicates
    )
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as for all other damage
    document.pop("checksum", None)
    leaves = sorted(_leaves(document, ""), key=lambda leaf: leaf[0].encode())
    return ",".join(f"{path}={value}" for path, value in leaves)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key comes twice")
    return document


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        children = [(_text(name), child) for name, child in node.items()]
    elif isinstance(node, list):
        children = [(str(index), child) for index, child in enumerate(node)]
    else:
        yield path, _scalar(node)
        return
    for name, child in children:
        yield from _leaves(child, f"{path}+{name}" if path else name)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return str(value) if isinstance(value, _Number) else _text(value)


def _text(text: str) -> str:
    return f'"{quote(text, safe="")}"'
