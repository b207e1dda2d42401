"""What is done for the log when a version is due: a checkpoint, its checksum, and clean-up.

All of it comes after the commit, which stands whatever comes of it; what fails is logged.
"""

import logging
from collections.abc import Mapping

from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.folder.compaction import compact_log
from atomic_manifest.log.head import Head
from atomic_manifest.log.maintenance.checkpoint_writer import write_checkpoint
from atomic_manifest.log.maintenance.cleanup import cleanup_metadata
from atomic_manifest.log.metadata.retention import unreadable
from atomic_manifest.log.state.checksum import encode_checksum, write_checksum
from atomic_manifest.log.state.snapshot import Snapshot, in_commit_timestamps
from atomic_manifest.store.leftovers import remove_leftovers
from atomic_manifest.store.object_store import ObjectStore

_log = logging.getLogger("atomic_manifest")

_CHECKPOINT_INTERVAL = "delta.checkpointInterval"
_DEFAULT_CHECKPOINT_INTERVAL = 100
_CLEANUP = "delta.enableExpiredLogCleanup"
_DIGITS = 18
_NEVER = 10**_DIGITS  # no log has so many versions
COMPACTION_INTERVAL = "atomicManifest.logCompactionInterval"
"""The property that asks for a compacted entry after so many commits, where no checkpoint is due."""


def checkpoint_due(snapshot: Snapshot) -> bool:
    """Whether a version asks for a checkpoint: one of `delta.checkpointInterval` does, by default 100."""
    interval = _interval(snapshot.configuration, _CHECKPOINT_INTERVAL)
    return snapshot.version % (interval or _DEFAULT_CHECKPOINT_INTERVAL) == 0


def _compaction_due(snapshot: Snapshot) -> bool:
    interval = _interval(snapshot.configuration, COMPACTION_INTERVAL)
    return interval > 1 and (snapshot.version + 1) % interval == 0


def _interval(configuration: Mapping[str, str], name: str) -> int:
    """A property that is a number of commits; 0 if it is no such number."""
    text = configuration.get(name, "").strip().lstrip("0")
    if not (text.isascii() and text.isdecimal()):
        return 0
    return int(text) if len(text) <= _DIGITS else _NEVER


def maintain(store: ObjectStore, snapshot: Snapshot) -> None:
    """Do for the log what a version asks for, if anything. Never fails."""
    what = "maintenance"
    try:
        if checkpoint_due(snapshot):
            _warn_of_retention(store, snapshot)
            what = "checkpoint"
            checkpoint(store, snapshot)
            what = "clean-up"
            remove_leftovers(store, LOG_FOLDER)
            if snapshot.configuration.get(_CLEANUP, "true").lower() == "true":
                cleanup_metadata(store, snapshot)
        elif _compaction_due(snapshot):
            what = "compacted entry"
            interval = _interval(snapshot.configuration, COMPACTION_INTERVAL)
            compact_log(store, snapshot.version + 1 - interval, snapshot.version)
    except Exception as error:  # noqa: BLE001 - the commit stands, whatever this is
        _log.warning("no %s of version %d in %s: %r", what, snapshot.version, store.url, error)


def _warn_of_retention(store: ObjectStore, snapshot: Snapshot) -> None:
    for wrong in unreadable(snapshot.configuration):
        _log.warning("%s keeps what would expire: %s", store.url, wrong)


def checkpoint(store: ObjectStore, snapshot: Snapshot) -> None:
    """Write the checkpoint of a version, and its checksum. Raises as `write_checkpoint` does."""
    totals = write_checkpoint(store, snapshot)
    if totals is None:
        return
    head = Head(
        snapshot.protocol,
        snapshot.metadata,
        {txn.app_id: txn for txn in snapshot.transactions},
        {domain.domain: domain for domain in snapshot.domains},
    )
    timestamp_ms = snapshot.timestamp_ms if in_commit_timestamps(snapshot.metadata) else None
    data = encode_checksum(head, totals, snapshot.version, timestamp_ms)
    try:
        write_checksum(store, snapshot.version, data)
    except AtomicManifestError as error:  # the checkpoint is there, and does without
        _log.warning("no checksum of version %d in %s: %s", snapshot.version, store.url, error)
