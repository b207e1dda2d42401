"""Reading entries from a store, one or many.

Error semantics: a version that does not exist is `NotFound` where asking is a question (`read_entry`),
and `CorruptLog` naming the file where it has to exist (`read_entries`).
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from atomic_manifest.errors import CorruptLog, NotFound
from atomic_manifest.log.entry import Entry, decode, entry_path
from atomic_manifest.log.rereading import read_decoded
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ThreadPool

READERS = 16
"""Requests under way at once when many log files are read."""

_BATCH = 4 * READERS
_BEGIN = 4096


def read_entry(store: ObjectStore, version: int) -> Entry:
    """Read one version, again if it came damaged; with `faults` (see `entry.decode`).

    Raises:
        NotFound: There is no such version.
        CorruptLog: It cannot be decoded.
    """
    entry = read_decoded(
        store, entry_path(version), lambda data: decode(data, version, superseded=True)
    )
    assert entry is not None  # noqa: S101 - `decode` gives an entry or raises
    return entry


def read_entries(store: ObjectStore, versions: Iterable[int]) -> Iterator[Entry]:
    """Read versions that have to exist, in parallel, and give them in the given order.

    At most a few dozen entries are held at a time.

    Raises:
        CorruptLog: One is missing or cannot be decoded.
    """
    with ThreadPool("read", READERS) as threads:
        remaining = iter(versions)
        while batch := list(islice(remaining, _BATCH)):
            yield from threads.map(lambda version: _read_existing(store, version), batch)


def _read_existing(store: ObjectStore, version: int) -> Entry:
    try:
        return read_entry(store, version)
    except NotFound as error:
        path = entry_path(version)
        raise CorruptLog(f"{path} is missing", path=path, version=version) from error


def check_begin(store: ObjectStore, version: int) -> None:
    """Check that an entry begins as one does, without reading more of it.

    Raises:
        NotFound: There is no such version.
        CorruptLog: It does not.
    """
    path = entry_path(version)
    begin = store.get(path, range=(0, _BEGIN)).data
    if not begin.lstrip().startswith(b"{"):
        message = f"{path}: line 1: it does not begin with a JSON object"
        raise CorruptLog(message, path=path, version=version)
