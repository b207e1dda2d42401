"""Which files of `_delta_log` make up a version.

Rules: a version is the newest complete checkpoint not above it and every entry after that. One LIST
tells both; the hint `_last_checkpoint` makes it start near the end of the log. The hint is only a hint:
when it is unreadable, points to nothing or points too far, the listing decides. Compacted entries are
named where they stand for several entries; version checksums where they may spare the checkpoint. What
is none of these (temporary files, sidecars) is ignored, and so is a multi-part checkpoint with a part
missing.

Error semantics: no log at all is `TableNotFound`; a version the log does not have, or no longer
reaches back to, `VersionNotFound`; a hole before the newest version `CorruptLog` naming the missing entry.
A hole that a later checkpoint bridges is what clean-up of some engines leaves: the versions in it are not
found, and all others are read.
"""

import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from atomic_manifest.errors import CorruptLog, TableNotFound, VersionNotFound
from atomic_manifest.log.entry import LOG_FOLDER, entry_path
from atomic_manifest.log.folder.hint import Hint, V2Hint, read_hint
from atomic_manifest.log.folder.listing import LAST_VERSION, PAGE, log_files
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore

SIDECAR_FOLDER = f"{LOG_FOLDER}/_sidecars"
"""Where all sidecars are, relative to the table's root."""

_FILE = re.compile(
    rf"{LOG_FOLDER}/(?P<version>\d{{20}})\."
    r"(?:(?P<entry>json)"
    r"|(?P<checksum>crc)"
    r"|(?P<last>\d{20})\.compacted\.json"
    r"|checkpoint(?:\.(?P<part>\d{10})\.(?P<parts>\d{10}))?\.parquet"
    r"|checkpoint\.(?P<v2>[0-9a-fA-F-]{36})\.(?:json|parquet))"
)
LARGE_ENTRY = 64 * 1024 * 1024
"""Bytes above which an entry is looked at before it is read: a file system's hole can have any size."""

_FARTHER = 8  # how much more of the log is looked at when no checkpoint was found


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """A complete checkpoint of `version`: one file, or all its parts in order.

    Attributes:
        version: The version.
        files: Its files; of a checkpoint of the V2 kind the top-level one.
        contents: What the hint holds of a checkpoint of the V2 kind.
    """

    version: int
    files: tuple[ObjectMeta, ...]
    contents: V2Hint | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the files, relative to the table's root."""
        return tuple(meta.path for meta in self.files)

    def has_file(self, path: str) -> bool:
        """Whether this is one of its files, or may be one of its sidecars."""
        return path in self.paths or path.startswith(f"{SIDECAR_FOLDER}/")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a LIST of the log says.

    Attributes:
        entries: Version to time of last modification in milliseconds since the Unix epoch; ascending.
        checkpoints: The complete ones, oldest first; of one version the best last.
        compactions: The versions that compacted entries stand for.
        checksums: Versions that have a version checksum.
        large: Versions whose entries are too large to be read unseen.
    """

    entries: dict[int, int]
    checkpoints: tuple[CheckpointFiles, ...] = ()
    compactions: tuple[range, ...] = ()
    checksums: frozenset[int] = frozenset()
    large: frozenset[int] = frozenset()

    @property
    def newest(self) -> int | None:
        """The newest version, None if there is no log."""
        checkpointed = (checkpoint.version for checkpoint in self.checkpoints)
        return max((*self.entries, *checkpointed), default=None)


@dataclass(frozen=True, slots=True)
class LogSegment:
    """The files that make up a version.

    Attributes:
        version: The version.
        checkpoint: Where replay starts; None to start before version 0.
        entries: The versions to replay, ascending and without a gap, up to `version`.
        modified_ms: When the entry of `version` was written, by the store's clock: milliseconds since
            the Unix epoch. That of the checkpoint if the entry is gone.
        compactions: Ranges of `entries`, ascending and apart, that a compacted entry stands for.
        checksums: Versions from the checkpoint's to `version` with a version checksum, newest first.
        large: Of `entries`, those that are too large to be read unseen.
    """

    version: int
    checkpoint: CheckpointFiles | None
    entries: range
    modified_ms: int
    compactions: tuple[range, ...] = ()
    checksums: tuple[int, ...] = ()
    large: tuple[int, ...] = ()


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
    """
    hint = None if rejected else read_hint(store)
    if hint is not None:
        listing = _near(store, hint, version)
        if listing is not None:
            with suppress(CorruptLog):  # what lies behind the listing tells a gap from damage
                return choose(listing, version, store.url)
    return choose(list_log(store), version, store.url, rejected=rejected)


def _near(store: ObjectStore, hint: Hint, version: int | None) -> Listing | None:
    """A listing of the end of the log, or of what leads to the version; None if the hint misled."""
    if version is None or version >= hint.version:
        listing = list_log(store, hint.version, hint=hint)
        target = hint.version if version is None else version
        return listing if _leads_to(listing, target) else None
    reach = PAGE
    while version >= 0:
        start = max(0, version + 1 - reach)
        listing = list_log(store, start, version + 1)
        if _leads_to(listing, version) or 0 in listing.entries:
            return listing if listing.newest == version else None
        if start == 0:
            break
        reach *= _FARTHER
    return None


def _leads_to(listing: Listing, version: int) -> bool:
    return any(checkpoint.version <= version for checkpoint in listing.checkpoints)


def list_log(
    store: ObjectStore, start: int = 0, stop: int | None = None, *, hint: Hint | None = None
) -> Listing:
    """List the log from version `start` on, up to `stop` and without it.

    Args:
        store: Rooted at the table.
        start: The first version.
        stop: None for the whole rest.
        hint: What is known of a checkpoint.
    """
    return parse_listing(log_files(store, start, stop), hint)


def parse_listing(metas: Iterable[ObjectMeta], hint: Hint | None = None) -> Listing:
    """Sort the files of a log by what they are."""
    entries: dict[int, int] = {}
    parts: dict[tuple[int, int, str], list[ObjectMeta]] = {}
    compactions: list[range] = []
    checksums: set[int] = set()
    large: set[int] = set()
    for meta in metas:
        match = _FILE.fullmatch(meta.path)
        version = int(match["version"]) if match else 0
        if match is None or version > LAST_VERSION:
            continue
        if match["entry"]:
            entries[version] = modified_ms(meta)
            if meta.size > LARGE_ENTRY:
                large.add(version)
        elif match["checksum"]:
            checksums.add(version)
        elif match["last"]:
            compactions.append(range(version, int(match["last"]) + 1))
        else:
            key = (version, int(match["parts"] or 1), match["v2"] or "")
            parts.setdefault(key, []).append(meta)
    return Listing(
        dict(sorted(entries.items())),
        _complete(parts, hint.v2_checkpoint if hint else None),
        tuple(sorted(compactions, key=lambda versions: (versions.start, versions.stop))),
        frozenset(checksums),
        frozenset(large),
    )


def version_of(path: str) -> int | None:
    """The version that a file of the log belongs to; of a compacted entry the first. None for others."""
    match = _FILE.fullmatch(path)
    return None if match is None else int(match["version"])


def _complete(
    parts: dict[tuple[int, int, str], list[ObjectMeta]], contents: V2Hint | None
) -> tuple[CheckpointFiles, ...]:
    """The checkpoints with all their parts, in the order that `Listing.checkpoints` has.

    Of several for one version one with a unique name is preferred, for nobody overwrites it, and one
    in several parts comes last, for parts of several writers can be mixed up.
    """
    found = []
    for (version, count, unique), files in parts.items():
        if len(files) != count:
            continue
        files.sort(key=lambda meta: meta.path)
        hinted = contents is not None and files[0].path == f"{LOG_FOLDER}/{contents.path}"
        checkpoint = CheckpointFiles(version, tuple(files), contents if hinted else None)
        found.append(((version, -count, bool(unique), hinted, unique), checkpoint))
    return tuple(checkpoint for _, checkpoint in sorted(found, key=lambda pair: pair[0]))


def modified_ms(meta: ObjectMeta) -> int:
    """When a file was written, by the store's clock: milliseconds since the Unix epoch, or 0."""
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
    first = checkpoint.version if checkpoint else -1
    entries = range(first + 1, target + 1)
    missing = next((number for number in entries if number not in listing.entries), None)
    if missing is not None:
        raise _broken(listing, missing, target, url)
    return LogSegment(
        target,
        checkpoint,
        entries,
        _written_ms(listing, target, checkpoint),
        _shortcuts(listing.compactions, entries),
        tuple(sorted((c for c in listing.checksums if first <= c <= target), reverse=True)),
        tuple(sorted(version for version in listing.large if version in entries)),
    )


def _shortcuts(compactions: Collection[range], entries: range) -> tuple[range, ...]:
    """Of compactions inside the entries, those that stand for most: the longest from each version on."""
    chosen: list[range] = []
    begin = entries.start
    for versions in sorted(compactions, key=lambda versions: (versions.start, -versions.stop)):
        if begin <= versions.start < versions.stop - 1 and versions.stop <= entries.stop:
            chosen.append(versions)
            begin = versions.stop
    return tuple(chosen)


def _written_ms(listing: Listing, target: int, checkpoint: CheckpointFiles | None) -> int:
    if target in listing.entries or checkpoint is None:
        return listing.entries[target]
    return max(map(modified_ms, checkpoint.files))


def _broken(listing: Listing, missing: int, target: int, url: str) -> Exception:
    later = [
        checkpoint.version for checkpoint in listing.checkpoints if checkpoint.version > target
    ]
    if later:
        what = "its oldest is" if missing == 0 else "behind it, the next one is"
        return VersionNotFound(
            f"version {target} is no longer in the log of {url}: {what} {later[0]}", version=target
        )
    path = entry_path(missing)
    return CorruptLog(f"{path} is missing from the log of {url}", path=path, version=missing)
