"""Compacted entries, `N.M.compacted.json`: several entries as one (protocol, "Log Compaction Files").

Replaying a long run of entries takes a request for each; the compacted entry says the same in one. Of it
only those lines are left that a later one did not undo. The entries stay; a compacted entry that is
missing, damaged or another engine's, which nothing protects from having lost its end, is passed over for
them.

Error semantics: writing one reads entries that have to exist (`CorruptLog`).
"""

from collections.abc import Iterable

from atomic_manifest.errors import AlreadyExists, CorruptLog, DataError, NotFound
from atomic_manifest.log.actions import Action, Add, DomainMetadata, Metadata, Protocol, Remove, Txn
from atomic_manifest.log.entry import LOG_FOLDER, Entry, decode, encode
from atomic_manifest.log.folder.entries import read_entries
from atomic_manifest.log.rereading import SHORTCUT_READS, read_decoded
from atomic_manifest.log.seal import has_no_seal, sealed_lines, unsealed_lines
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.object_store import ObjectStore


def compaction_path(first: int, last: int) -> str:
    """The path of the compacted entry of some versions, relative to the table's root."""
    return f"{LOG_FOLDER}/{_name(first, last)}"


def _name(first: int, last: int) -> str:
    return f"{first:020}.{last:020}.compacted.json"


def compact_log(store: ObjectStore, first: int, last: int) -> str:
    """Write what the entries from `first` to `last` come to as one compacted entry.

    Args:
        store: Rooted at the table.
        first: The first version.
        last: The last version.

    Returns:
        The path of the compacted entry. One that is there already is left as it is.

    Raises:
        DataError: Not two versions or more.
        CorruptLog: An entry is missing or damaged.
        StoreError: The store failed; the table is as good as before.
    """
    if not 0 <= first < last:
        raise DataError(f"two versions or more are compacted, not {first} to {last}")
    path = compaction_path(first, last)
    lines = encode(reconciled(read_entries(store, range(first, last + 1))))
    try:
        store.put(path, sealed_lines(lines, _name(first, last)), when=IfAbsent())
    except AlreadyExists:
        return path
    return path


def reconciled(entries: Iterable[Entry]) -> list[Action]:
    """What is left of consecutive entries (protocol, "Action Reconciliation")."""
    protocol: Protocol | None = None
    metadata: Metadata | None = None
    txns: dict[str, Txn] = {}
    domains: dict[str, DomainMetadata] = {}
    files: dict[tuple[str, str | None], Add | Remove] = {}
    for entry in entries:
        for fault in entry.faults.values():
            raise fault
        protocol, metadata = entry.protocol or protocol, entry.metadata or metadata
        txns.update((txn.app_id, txn) for txn in entry.txns)
        domains.update((domain.domain, domain) for domain in entry.domain_metadata)
        changed: tuple[Add | Remove, ...] = (*entry.removes, *entry.adds)
        for action in changed:
            vector = action.deletion_vector
            files[action.path, vector.unique_id if vector else None] = action
    heads: list[Action] = [action for action in (protocol, metadata) if action is not None]
    return [*heads, *txns.values(), *domains.values(), *files.values()]


def read_compaction(store: ObjectStore, versions: range) -> Entry | None:
    """The compacted entry of some versions, as an entry of the last; None if there is none to be used."""
    first, last = versions.start, versions.stop - 1

    def decoded(data: bytes) -> tuple[Entry | None] | None:
        lines = unsealed_lines(data, _name(first, last))
        if lines is None:
            return (None,) if has_no_seal(data) else None
        return (decode(lines, last) if lines else Entry(last),)

    path, reads = compaction_path(first, last), SHORTCUT_READS
    try:
        return (read_decoded(store, path, decoded, reads=reads) or (None,))[0]
    except (NotFound, CorruptLog):
        return None
