"""LIST requests on `_delta_log`, few for a short log and many at once for a long one.

Invariants: files are given in ascending order of path, each once, and none that the log had when the
listing began is left out. Only names that begin with a digit are given: those of a log's versions come
before all folders (`_sidecars`), which are not descended into. A name with a number that no log comes to
(`LAST_VERSION`) is a stray file, of which nothing is told.

Error semantics: the store's own.
"""

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice, pairwise

from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.threads import ThreadPool

PAGE = 1000
"""Objects in an answer of all services; a first page that is full shows that there is more."""

LISTERS = 8
"""LIST requests under way at once."""

LAST_VERSION = 10**15 - 1
"""The last version that a log may have. At a thousand a second it is reached after 30,000 years."""

_VERSION = re.compile(rf"{LOG_FOLDER}/(\d{{20}})\.")


def log_files(store: ObjectStore, start: int = 0, stop: int | None = None) -> Iterator[ObjectMeta]:
    """The files of the log's versions.

    Args:
        store: Rooted at the table.
        start: The first version.
        stop: The version to stop before; None for all.
    """
    files = _files(store, start, stop)
    first = list(islice(files, PAGE))
    yield from first
    if len(first) < PAGE:
        return
    after = first[-1].path
    last = _VERSION.match(after)
    if last is None or not _answers_by_parts(store):
        yield from files
        return
    begin = int(last[1])
    end = stop
    with ThreadPool("list", LISTERS) as threads:
        if end is None or end > LAST_VERSION:
            end = _reach(store, threads, begin)
        bounds = _bounds(begin, end, stop)
        starts = [after, *[None] * (len(bounds) - 1)]
        for listed in threads.map(partial(_listed, store), bounds, starts):
            yield from listed


def files_in_turn(store: ObjectStore) -> Iterator[ObjectMeta]:
    """The same files, none of which is asked for before the ones before it are used."""
    return _files(store, 0, None)


def _listed(
    store: ObjectStore, versions: tuple[int, int | None], after: str | None
) -> list[ObjectMeta]:
    return list(_files(store, *versions, after))


def _files(
    store: ObjectStore, start: int, stop: int | None, after: str | None = None
) -> Iterator[ObjectMeta]:
    begin = f"{LOG_FOLDER}/{start:020}" if start else None
    beyond = LAST_VERSION + 1
    end = f"{LOG_FOLDER}/{beyond if stop is None else min(stop, beyond):020}"
    for meta in store.list(LOG_FOLDER, start_after=after or begin):
        if meta.path >= end:
            return
        yield meta


def _answers_by_parts(store: ObjectStore) -> bool:
    """Whether parts of a listing take fewer requests than all of it.

    Not where listing takes none, nor where all is listed whatever is asked for, since it comes in no
    order.
    """
    return bool(store.order.is_by_path) and not store.url.startswith(("file:", "memory:"))


def _reach(store: ObjectStore, threads: ThreadPool, begin: int) -> int:
    """A version that nothing, or not much, lies behind: found by looking twice as far each time."""
    distance = PAGE
    while True:
        distances = [distance << step for step in range(LISTERS)]
        probes = threads.map(
            lambda ahead: next(_files(store, begin + ahead, None), None) is None, distances
        )
        for ahead, nothing_behind in zip(distances, probes, strict=True):
            if nothing_behind:
                return begin + ahead
        distance = distances[-1] * 2


def _bounds(begin: int, end: int, stop: int | None) -> list[tuple[int, int | None]]:
    """Ranges of versions that together are [begin, stop), the last one open if `stop` is None."""
    step = max(PAGE, -(-(end - begin) // (4 * LISTERS)))
    cuts = [*range(begin, end, step), stop]
    return [(first, last) for first, last in pairwise(cuts) if first is not None]
