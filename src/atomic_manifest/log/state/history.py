"""What was committed when: the history, and the version that was current at a time.

Rules: the time of a version is its in-commit timestamp where the table has those; else when its entry
was written, by the store's clock, made to ascend with the version as Spark does (a time not above the
one before becomes that one and a millisecond). `version_at` gives the newest version committed at or
before the asked time; a time after the last commit gives the newest version, as deltalake does (Spark
refuses), and one before the first that the log still has is `VersionNotFound`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from atomic_manifest.arguments import moment, whole_number
from atomic_manifest.errors import CorruptLog, DataError, TableNotFound, VersionNotFound
from atomic_manifest.log.actions import Metadata
from atomic_manifest.log.entry import LOG_FOLDER, CommitRecord, Entry, entry_path
from atomic_manifest.log.folder.entries import READERS, read_entries
from atomic_manifest.log.folder.segment import Listing, list_log, modified_ms
from atomic_manifest.log.state.snapshot import committed_ms, in_commit_timestamps, load
from atomic_manifest.store.object_store import ObjectStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENABLED_SINCE = "delta.inCommitTimestampEnablementVersion"

Version: TypeAlias = int | str | date
"""A number, or a time: a `datetime` (also of pandas), a date, or ISO 8601 text."""


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One version.

    Attributes:
        version: The version.
        timestamp: When it was committed (see the module), in UTC.
        operation: What the writer did, in Delta's words; None if it did not say.
        parameters: The writer's `operationParameters`.
        commits: The commits it holds, if this library wrote it.
        revoked: Ids of commits that it declares will never be.
        fields: The whole `commitInfo`.
    """

    version: int
    timestamp: datetime
    operation: str | None
    parameters: Mapping[str, Any]
    commits: tuple[CommitRecord, ...]
    revoked: frozenset[str]
    fields: Mapping[str, Any]


def history(store: ObjectStore, *, limit: int | None = None) -> Iterator[HistoryRecord]:
    """The versions whose entries the log still has, newest first.

    Args:
        store: Rooted at the table.
        limit: At most so many.

    Raises:
        DataError: `limit` is no number of versions.
        TableNotFound: There is no log.
        CorruptLog: An entry cannot be decoded.
    """
    if limit is not None and (limit := whole_number("limit", limit)) < 0:
        raise DataError(f"limit is a number of versions from 0 on, got {limit!r}")
    times = _times(list_log(store).entries, store.url)
    newest_first = list(reversed(times))[:limit]
    for start in range(0, len(newest_first), READERS):
        for entry in read_entries(store, newest_first[start : start + READERS]):
            yield _record(entry, times[entry.version])


def _record(entry: Entry, written_ms: int) -> HistoryRecord:
    fields = entry.commit_info or {}
    in_commit = committed_ms(entry)
    milliseconds = written_ms if in_commit is None else in_commit
    return HistoryRecord(
        version=entry.version,
        timestamp=_moment(entry.version, milliseconds),
        operation=fields.get("operation"),
        parameters=fields.get("operationParameters") or {},
        commits=entry.commits,
        revoked=entry.revoked,
        fields=fields,
    )


def _moment(version: int, milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        path = entry_path(version)
        message = f"{path}: no time is {milliseconds} milliseconds after 1970"
        raise CorruptLog(message, path=path, version=version) from error


def version_number(store: ObjectStore, version: Version | None) -> int | None:
    """The version that is meant by one, or by a time (a naive one is local time); None for the latest.

    Raises:
        DataError: It is neither.
        VersionNotFound: See `version_at`.
    """
    if version is None:
        return None
    if (time := moment(version)) is not None:
        return version_at(store, _milliseconds(time))
    try:
        return whole_number("version", version)
    except DataError:
        raise DataError(
            f"version is a number, or a time (a datetime or its ISO 8601 text), got {version!r}"
        ) from None


def _milliseconds(time: datetime) -> int:
    try:
        return int(time.timestamp() * 1000)
    except (OverflowError, ValueError) as error:
        raise VersionNotFound(
            f"{time.isoformat()} of local time is before the first commit of any log",
            version=None,
        ) from error


def version_at(store: ObjectStore, timestamp_ms: int) -> int:
    """The version that was the newest at a time.

    Args:
        store: Rooted at the table.
        timestamp_ms: Milliseconds since the Unix epoch.

    Raises:
        TableNotFound: There is no log.
        VersionNotFound: The time is before the first commit that the log still has.
        CorruptLog: The log is damaged.
    """
    listing = list_log(store)
    times = _times(_with_newest(listing), store.url)
    metadata = load(store).metadata
    if in_commit_timestamps(metadata):
        told = {version: time for version, time in times.items() if version in listing.entries}
        version = _in_commit_version_at(store, told, metadata, timestamp_ms)
    else:
        version = max((v for v, time in times.items() if time <= timestamp_ms), default=None)
    if version is None:
        moment = _EPOCH + timedelta(milliseconds=timestamp_ms)
        raise VersionNotFound(
            f"{moment.isoformat()} is before the first commit in the log of {store.url}: "
            f"version {min(times)}",
            version=None,
        )
    return version


def _in_commit_version_at(
    store: ObjectStore, times: Mapping[int, int], metadata: Metadata, timestamp_ms: int
) -> int | None:
    """As `version_at`, of a table with in-commit timestamps (same section of the protocol)."""
    enabled = _enabled_since(metadata)
    since = [version for version in times if version >= enabled]
    before = {version: time for version, time in times.items() if version < enabled}
    count = _first_after(store, since, timestamp_ms)
    if count:
        return since[count - 1]
    return max((v for v, time in before.items() if time <= timestamp_ms), default=None)


def _enabled_since(metadata: Metadata) -> int:
    text = metadata.configuration.get(_ENABLED_SINCE, "0")
    if not text.isdecimal():
        raise CorruptLog(
            f"{LOG_FOLDER}: {_ENABLED_SINCE} is {text!r}, not a version",
            path=LOG_FOLDER,
            version=None,
        )
    return int(text)


def _first_after(store: ObjectStore, versions: Sequence[int], timestamp_ms: int) -> int:
    """How many of the versions, whose timestamps ascend, were committed at or before the time."""
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if _in_commit_ms(store, versions[middle]) <= timestamp_ms:
            low = middle + 1
        else:
            high = middle
    return low


def _in_commit_ms(store: ObjectStore, version: int) -> int:
    (entry,) = read_entries(store, [version])
    milliseconds = committed_ms(entry)
    if milliseconds is None:
        path = entry_path(version)
        raise CorruptLog(f"{path}: no in-commit timestamp", path=path, version=version)
    return milliseconds


def _with_newest(listing: Listing) -> dict[int, int]:
    """When entries were written; of a newest version that only a checkpoint is left of, when that was."""
    written = dict(listing.entries)
    if listing.checkpoints:
        last = listing.checkpoints[-1]
        written.setdefault(last.version, max(map(modified_ms, last.files)))
    return written


def _times(written: Mapping[int, int], url: str) -> dict[int, int]:
    """The times of versions, made to ascend; only of the newest versions without a gap."""
    if not written:
        raise TableNotFound(f"there is no Delta log entry at {url}")
    first = max(written)
    while first - 1 in written:
        first -= 1
    times: dict[int, int] = {}
    last = -1
    for version in range(first, max(written) + 1):
        last = max(written[version], last + 1)
        times[version] = last
    return times
