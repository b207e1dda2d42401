"""Removing from the log what no reachable version needs (protocol, "Metadata Cleanup").

Rules: versions stay reachable for `delta.logRetentionDuration` (30 days), counted by the store's clock to
the midnight before in UTC; a file whose age the store does not tell has not expired. The newest
checkpoint up to which every version has expired is kept, with its entry and all that follows; what lies
before goes. It is read first, all of it: only a checkpoint that can be read replaces what is removed.
Sidecars go when no checkpoint that is left names them and they are older than a day, so that a checkpoint
in the making keeps its own.

Error semantics: a table whose log is not ours to shorten is refused (`UnsupportedTableFeature`); nothing
was removed. Removing goes from the oldest on, so whatever stops it, what is left is a log.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from atomic_manifest.errors import CorruptLog, UnsupportedTableFeature
from atomic_manifest.log.checkpoint.reader import Checkpoint, sidecar_path, verify
from atomic_manifest.log.entry import entry_path
from atomic_manifest.log.folder.listing import files_in_turn
from atomic_manifest.log.folder.segment import (
    SIDECAR_FOLDER,
    CheckpointFiles,
    Listing,
    list_log,
    modified_ms,
    parse_listing,
    version_of,
)
from atomic_manifest.log.maintenance.store_clock import store_clock_ms
from atomic_manifest.log.metadata.features import check_writable
from atomic_manifest.log.metadata.retention import log_retention_ms
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

_DAY_MS = 24 * 60 * 60 * 1000
_BATCH = 1000
_KEPT_WHOLE = ("checkpointProtection", "catalogManaged")


def cleanup_metadata(store: ObjectStore, snapshot: Snapshot) -> list[str]:
    """Remove expired entries, checkpoints, checksums, compacted entries and orphaned sidecars.

    Args:
        store: Rooted at the table.
        snapshot: Any state of the table not much older than the newest; says how long versions are kept.

    Returns:
        The paths that were removed.

    Raises:
        UnsupportedTableFeature: The table needs more of its writers than we know, or protects its
            checkpoints.
        StoreError: The store failed; a part may have been removed.
    """
    check_writable(snapshot.protocol, snapshot.metadata)
    listed = snapshot.protocol.writer_features or ()
    if names := tuple(name for name in _KEPT_WHOLE if name in listed):
        raise UnsupportedTableFeature(
            f"the log cannot be cleaned: the table has {', '.join(names)}", names=names
        )
    now_ms = store_clock_ms(store)
    if now_ms is None:
        return []
    midnight_ms = _midnight_ms(now_ms)
    cutoff_ms = _midnight_ms(now_ms - log_retention_ms(snapshot.configuration))
    expired = list(_expired(store, cutoff_ms))
    kept = _kept_checkpoint(store, parse_listing(expired))
    if kept is None:
        return []
    gone = [meta.path for meta in expired if _lies_before(meta.path, kept.version)]
    _remove(store, gone)
    orphans = list(_orphans(store, midnight_ms - _DAY_MS)) if gone else []
    _remove(store, orphans)
    return gone + orphans


def _midnight_ms(moment_ms: int) -> int:
    return moment_ms - moment_ms % _DAY_MS


def _expired(store: ObjectStore, cutoff_ms: int) -> Iterator[ObjectMeta]:
    """The files of all versions up to the newest that was committed at or before the cutoff.

    Commit times ascend: one that does not counts as just after the one before.
    """
    committed_ms = -1
    pending: list[ObjectMeta] = []
    for meta in files_in_turn(store):
        pending.append(meta)
        version = version_of(meta.path)
        if version is not None and meta.path == entry_path(version):
            if meta.last_modified is None:
                return
            committed_ms = max(modified_ms(meta), committed_ms + 1)
            if committed_ms > cutoff_ms:
                return
            yield from pending
            pending = []


def _kept_checkpoint(store: ObjectStore, listing: Listing) -> CheckpointFiles | None:
    """The newest checkpoint among expired files that can stand for all before it, if there is one."""
    for files in reversed(listing.checkpoints):
        if not _precedes_something(files, listing):
            return None
        following = range(files.version, max(listing.entries) + 1)
        if any(version not in listing.entries for version in following):
            return None
        try:
            verify(Checkpoint(store, files))
        except CorruptLog:
            continue
        return files
    return None


def _precedes_something(files: CheckpointFiles, listing: Listing) -> bool:
    older = (checkpoint.version for checkpoint in listing.checkpoints)
    return min((*listing.entries, *older)) < files.version


def _lies_before(path: str, version: int) -> bool:
    """Whether a file of the log goes when the checkpoint of a version is the first that is kept."""
    number = version_of(path)
    if number is None:
        return False
    return number < version or (number == version and path.endswith(".compacted.json"))


def _orphans(store: ObjectStore, written_until_ms: int) -> Iterator[str]:
    """Sidecars that no checkpoint names, but for young ones; none if a checkpoint cannot be read."""
    old = [
        meta.path
        for meta in store.list(SIDECAR_FOLDER)
        if meta.last_modified is not None and modified_ms(meta) < written_until_ms
    ]
    if not old:
        return
    named: set[str] = set()
    try:
        for files in list_log(store).checkpoints:
            sidecars = Checkpoint(store, files).sidecars
            named.update(sidecar_path(sidecar.path) for sidecar in sidecars)
    except (CorruptLog, ValueError):
        return
    yield from (path for path in old if path not in named)


def _remove(store: ObjectStore, paths: Iterable[str]) -> None:
    """Remove files, in order."""
    remaining = iter(paths)
    while batch := list(islice(remaining, _BATCH)):
        store.delete_many(batch)
