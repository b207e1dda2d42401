"""Version checksums, `N.crc`: a table's state without its files (protocol, "Version Checksum File").

With one a table opens without its checkpoint. It repeats what the log says, so nobody would notice if it
were wrong: only those are believed that carry our seal, which shows damage and a file under another's
name. What other engines write has none, and is left alone. One that is missing, damaged or incomplete
is as good as none.

They are written with checkpoints, when the counts are known anyway: never on the way of a commit.

Error semantics: reading fails only for the store's own reasons.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from atomic_manifest.errors import AlreadyExists, Conflict409, NotFound
from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.checkpoint.file_rows import Totals
from atomic_manifest.log.entry import LOG_FOLDER, decode_rewritten, encode
from atomic_manifest.log.head import Head
from atomic_manifest.log.rereading import SHORTCUT_READS, read_decoded
from atomic_manifest.log.seal import has_no_seal, is_sealed_object, sealed_object
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.object_store import ObjectStore


class VersionChecksum(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The content of `N.crc` (protocol, "Version Checksum File Schema"), as far as we use it.

    Attributes:
        table_size_bytes: Of all files together.
        num_files: Files of the table.
        num_metadata: One.
        num_protocol: One.
        metadata: The action.
        protocol: The action.
        in_commit_timestamp_opt: Milliseconds since the Unix epoch; of tables that have those.
        set_transactions: The newest of every application.
        domain_metadata: Those that were not removed.
        num_deleted_records_opt: Rows that deletion vectors mark.
        num_deletion_vectors_opt: Files with a deletion vector.
    """

    table_size_bytes: int
    num_files: int
    num_metadata: int
    num_protocol: int
    metadata: msgspec.Raw
    protocol: msgspec.Raw
    set_transactions: Sequence[Txn]
    domain_metadata: Sequence[DomainMetadata]
    in_commit_timestamp_opt: int | None = None
    num_deleted_records_opt: int | None = None
    num_deletion_vectors_opt: int | None = None

    def head(self) -> Head:
        """The state that it tells.

        Raises:
            msgspec.ValidationError: An action lacks a required field.
        """
        return Head(
            decode_rewritten(self.protocol, Protocol),
            decode_rewritten(self.metadata, Metadata),
            {txn.app_id: txn for txn in self.set_transactions},
            {domain.domain: domain for domain in self.domain_metadata},
        )


def checksum_path(version: int) -> str:
    """The path of the checksum of a version, relative to the table's root."""
    return f"{LOG_FOLDER}/{_name(version)}"


def _name(version: int) -> str:
    return f"{version:020}.crc"


def read_checksum(store: ObjectStore, version: int) -> VersionChecksum | None:
    """The checksum of a version; None if there is none to be believed."""

    def decoded(data: bytes) -> tuple[VersionChecksum | None] | None:
        found = decode_checksum(data, version)
        return (found,) if found is not None or has_no_seal(data) else None

    try:
        found = read_decoded(store, checksum_path(version), decoded, reads=SHORTCUT_READS)
    except NotFound:
        return None
    return None if found is None else found[0]


def decode_checksum(data: bytes, version: int) -> VersionChecksum | None:
    """Decode a checksum; None if it is not to be believed."""
    if not is_sealed_object(data, _name(version)):
        return None
    try:
        found = msgspec.json.decode(data, type=VersionChecksum)
        found.head()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if found.num_metadata == found.num_protocol == 1 else None


def encode_checksum(
    head: Head, totals: Totals, version: int, in_commit_timestamp_ms: int | None
) -> bytes:
    """Encode and seal the checksum of a version.

    Args:
        head: The state without its files; with protocol and metadata.
        totals: What the files come to.
        version: The version.
        in_commit_timestamp_ms: Of tables that have those.
    """
    found = VersionChecksum(
        table_size_bytes=totals.size,
        num_files=totals.files,
        num_metadata=1,
        num_protocol=1,
        metadata=_raw(head.metadata, "metaData"),
        protocol=_raw(head.protocol, "protocol"),
        set_transactions=tuple(head.txns.values()),
        domain_metadata=tuple(head.domains.values()),
        in_commit_timestamp_opt=in_commit_timestamp_ms,
        num_deleted_records_opt=totals.deleted,
        num_deletion_vectors_opt=totals.vectors,
    )
    return sealed_object(msgspec.json.encode(found), _name(version))


def _raw(action: Any, name: str) -> msgspec.Raw:
    line: Mapping[str, msgspec.Raw] = msgspec.json.decode(
        encode([action]), type=dict[str, msgspec.Raw]
    )
    return line[name]


def write_checksum(store: ObjectStore, version: int, data: bytes) -> None:
    """Write the checksum of a version, unless there is one: they are never overwritten."""
    with suppress(AlreadyExists, Conflict409):
        store.put(checksum_path(version), data, when=IfAbsent())
