"""Which files of `_delta_log` make up a version.

Rules: a version is the newest complete checkpoint not above it and every entry after that. One LIST
tells both; the hint `_last_checkpoint` makes it start near the end of the log. The hint is only a hint:
when it is unreadable, points to nothing or points too far, the whole log is listed. Everything that is
neither an entry nor a checkpoint (checksums, compacted entries, temporary files, sidecars) is ignored,
and so is a multi-part checkpoint with a part missing.

Error semantics: no log at all is `TableNotFound`; a version the log does not have, or no longer
reaches back to, `VersionNotFound`; a hole `CorruptLog` naming the missing entry.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from atomic_manifest.errors import (
    CorruptLog,
    NotFound,
    TableNotFound,
    UnsupportedTableFeature,
    VersionNotFound,
)
from atomic_manifest.log.entry import LOG_FOLDER, entry_path
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

HINT_PATH = f"{LOG_FOLDER}/_last_checkpoint"
_FILE = re.compile(
    rf"{LOG_FOLDER}/(?P<version>\d{{20}})\."
    r"(?:(?P<entry>json)"
    r"|checkpoint(?:\.(?P<part>\d{10})\.(?P<parts>\d{10}))?\.parquet"
    r"|checkpoint\.(?P<v2>[0-9a-fA-F-]{36})\.(?:json|parquet))"
)


class Hint(msgspec.Struct, rename="camel", omit_defaults=True):
    """The content of `_last_checkpoint` (protocol, "Last Checkpoint File Schema").

    Attributes:
        version: Of the newest checkpoint when it was written.
        size: Actions in the checkpoint.
        parts: Number of its files if more than one.
        size_in_bytes: Bytes of the checkpoint.
        num_of_add_files: Files of the table at that version.
    """

    version: int
    size: int = -1
    parts: int | None = None
    size_in_bytes: int | None = None
    num_of_add_files: int | None = None


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """A complete checkpoint of `version`: one file, or all its parts in order."""

    version: int
    files: tuple[ObjectMeta, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the files, relative to the table's root."""
        return tuple(meta.path for meta in self.files)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a LIST of the log says.

    Attributes:
        entries: Version to time of last modification in milliseconds since the Unix epoch; ascending.
        checkpoints: The complete ones that we read, oldest first.
        v2_checkpoints: Versions with a checkpoint of the V2 kind.
    """

    entries: dict[int, int]
    checkpoints: tuple[CheckpointFiles, ...]
    v2_checkpoints: frozenset[int]

    @property
    def newest(self) -> int | None:
        """The newest version, None if there is no log."""
        checkpointed = (checkpoint.version for checkpoint in self.checkpoints)
        return max((*self.entries, *checkpointed, *self.v2_checkpoints), default=None)


@dataclass(frozen=True, slots=True)
class LogSegment:
    """The files that make up a version.

    Attributes:
        version: The version.
        checkpoint: Where replay starts; None to start before version 0.
        entries: The versions to replay, ascending and without a gap, up to `version`.
        modified_ms: When the entry of `version` was written, by the store's clock: milliseconds since
            the Unix epoch. That of the checkpoint if the entry is gone.
    """

    version: int
    checkpoint: CheckpointFiles | None
    entries: range
    modified_ms: int


def find_segment(
    store: ObjectStore, version: int | None = None, *, rejected: Collection[str] = ()
) -> LogSegment:
    """Find the files that make up a version.

    Args:
        store: Rooted at the table.
        version: None for the newest.
        rejected: Paths of checkpoint files not to be used, because they are damaged.

    Raises:
        TableNotFound: There is no log.
        VersionNotFound: The log does not have the version, or no longer reaches back to it.
        CorruptLog: An entry is missing.
        UnsupportedTableFeature: Only a checkpoint of the V2 kind leads to the version.
    """
    hint = None if rejected else read_hint(store)
    if hint is not None and (version is None or hint.version <= version):
        listing = list_log(store, hint.version)
        if any(
            checkpoint.version <= (version or hint.version) for checkpoint in listing.checkpoints
        ):
            return choose(listing, version, store.url)
    return choose(list_log(store), version, store.url, rejected=rejected)


def read_hint(store: ObjectStore) -> Hint | None:
    """Read `_last_checkpoint`; None if it is missing or unusable."""
    try:
        hint = msgspec.json.decode(store.get(HINT_PATH).data, type=Hint)
    except (NotFound, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return hint if hint.version >= 0 else None


def list_log(store: ObjectStore, start: int = 0) -> Listing:
    """List the log from version `start` on."""
    start_after = f"{LOG_FOLDER}/{start:020}" if start else None
    return parse_listing(store.list(LOG_FOLDER, start_after=start_after))


def parse_listing(metas: Iterable[ObjectMeta]) -> Listing:
    """Sort the files of a log by what they are."""
    entries: dict[int, int] = {}
    parts: dict[tuple[int, int], list[ObjectMeta]] = {}
    v2: set[int] = set()
    for meta in metas:
        match = _FILE.fullmatch(meta.path)
        if match is None:
            continue
        version = int(match["version"])
        if match["entry"]:
            entries[version] = _modified_ms(meta)
        elif match["v2"]:
            v2.add(version)
        else:
            parts.setdefault((version, int(match["parts"] or 1)), []).append(meta)
    complete = [
        CheckpointFiles(version, tuple(sorted(files, key=lambda meta: meta.path)))
        for (version, count), files in parts.items()
        if len(files) == count
    ]
    # Of two for one version the single file comes last, so it is preferred: parts of several
    # writers can be mixed up.
    complete.sort(key=lambda checkpoint: (checkpoint.version, -len(checkpoint.files)))
    return Listing(dict(sorted(entries.items())), tuple(complete), frozenset(v2))


def _modified_ms(meta: ObjectMeta) -> int:
    return int(meta.last_modified.timestamp() * 1000) if meta.last_modified else 0


def choose(
    listing: Listing, version: int | None, url: str, *, rejected: Collection[str] = ()
) -> LogSegment:
    """Choose the files of a version from a listing that holds all of them. See `find_segment`."""
    newest = listing.newest
    if newest is None:
        raise TableNotFound(f"there is no Delta log at {url}")
    target = newest if version is None else version
    if not 0 <= target <= newest:
        raise VersionNotFound(
            f"version {target} is not in the log of {url}: its newest is {newest}", version=target
        )
    usable = [
        checkpoint
        for checkpoint in listing.checkpoints
        if checkpoint.version <= target and not set(checkpoint.paths) & set(rejected)
    ]
    checkpoint = usable[-1] if usable else None
    entries = range(checkpoint.version + 1 if checkpoint else 0, target + 1)
    missing = next((number for number in entries if number not in listing.entries), None)
    if missing is not None:
        raise _broken(listing, missing, target, url)
    return LogSegment(target, checkpoint, entries, _written_ms(listing, target, checkpoint))


def _written_ms(listing: Listing, target: int, checkpoint: CheckpointFiles | None) -> int:
    if target in listing.entries or checkpoint is None:
        return listing.entries[target]
    return max(map(_modified_ms, checkpoint.files))


def _broken(listing: Listing, missing: int, target: int, url: str) -> Exception:
    if any(
        missing <= v2 <= target
        and all(number in listing.entries for number in range(v2 + 1, target + 1))
        for v2 in listing.v2_checkpoints
    ):
        return UnsupportedTableFeature(
            f"version {target} of {url} can only be read from a V2 checkpoint: v2Checkpoint",
            names=("v2Checkpoint",),
        )
    later = [
        checkpoint.version for checkpoint in listing.checkpoints if checkpoint.version > target
    ]
    if missing == 0 and later:
        return VersionNotFound(
            f"version {target} is no longer in the log of {url}: its oldest is {later[0]}",
            version=target,
        )
    path = entry_path(missing)
    return CorruptLog(f"{path} is missing from the log of {url}", path=path, version=missing)
