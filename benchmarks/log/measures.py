"""One measure of one library, in a process of its own: `python -m benchmarks.log.measures`.

Prints one JSON object: the figures of the measure, and the peak memory of the process.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from benchmarks.log import tables
from benchmarks.usage import peak_memory

WARM_UP = 2
APPENDS = 6
MIB = 1 << 20


class Library(Protocol):
    """What a library is asked to do."""

    def open(self, path: str) -> Any:
        """Take a handle on the newest version."""
        ...

    def list(self, table: Any) -> int:
        """All files; their number."""
        ...

    def paths(self, table: Any) -> int:
        """The paths of all files; their number."""
        ...

    def partition(self, table: Any, day: Any) -> int:
        """The files of a day; their number."""
        ...

    def statistics(self, table: Any, number: int) -> int:
        """The files that may have an id; their number."""
        ...

    def append(self, table: Any, data: Any) -> None:
        """Commit rows."""
        ...

    def checkpoint(self, table: Any) -> None:
        """Write a checkpoint of the handle's version."""
        ...


class Ours:
    """This library."""

    def __init__(self) -> None:
        import atomic_manifest

        self._library = atomic_manifest

    def open(self, path: str) -> Any:
        """See `Library`."""
        return self._library.Table.open(path)

    def list(self, table: Any) -> int:
        """See `Library`."""
        return int(table.files().num_rows)

    def paths(self, table: Any) -> int:
        """See `Library`."""
        return len(table.files(columns=["path"])["path"].to_pylist())

    def partition(self, table: Any, day: Any) -> int:
        """See `Library`."""
        return int(table.files(f"day = '{day}'").num_rows)

    def statistics(self, table: Any, number: int) -> int:
        """See `Library`."""
        return int(table.files(f"id = {number}").num_rows)

    def append(self, table: Any, data: Any) -> None:
        """See `Library`."""
        table.append(data)

    def checkpoint(self, table: Any) -> None:
        """See `Library`."""
        table.checkpoint()


class Theirs:
    """The `deltalake` package."""

    def __init__(self) -> None:
        import deltalake

        self._library = deltalake

    def open(self, path: str) -> Any:
        """See `Library`."""
        return self._library.DeltaTable(path)

    def list(self, table: Any) -> int:
        """See `Library`."""
        return int(table.get_add_actions().num_rows)

    def paths(self, table: Any) -> int:
        """See `Library`."""
        return len(table.file_uris())

    def partition(self, table: Any, day: Any) -> int:
        """See `Library`."""
        return len(table.file_uris(file_pruning_predicate=f"day = '{day}'"))

    def statistics(self, table: Any, number: int) -> int:
        """See `Library`."""
        return len(table.file_uris(file_pruning_predicate=f"id = {number}"))

    def append(self, table: Any, data: Any) -> None:
        """See `Library`."""
        self._library.write_deltalake(table, data, mode="append")

    def checkpoint(self, table: Any) -> None:
        """See `Library`."""
        table.create_checkpoint()


LIBRARIES: dict[str, Callable[[], Library]] = {"atomic_manifest": Ours, "deltalake": Theirs}


def _import(_: Library, __: str, ___: int) -> dict[str, float]:
    return {}


def _open(library: Library, path: str, _: int) -> dict[str, float]:
    return {"seconds": _timed(lambda: library.open(path))}


def _list(library: Library, path: str, files: int) -> dict[str, float]:
    table = library.open(path)
    return {"seconds": _timed(lambda: _expect(library.list(table), files))}


def _open_and_list(library: Library, path: str, files: int) -> dict[str, float]:
    return {"seconds": _timed(lambda: _expect(library.list(library.open(path)), files))}


def _paths(library: Library, path: str, files: int) -> dict[str, float]:
    return {"seconds": _timed(lambda: _expect(library.paths(library.open(path)), files))}


def _partition(library: Library, path: str, files: int) -> dict[str, float]:
    day = tables.day_of(files // 2)
    whole = min(tables.FILES_PER_DAY, files)
    return {"seconds": _timed(lambda: _expect(library.partition(library.open(path), day), whole))}


def _statistics(library: Library, path: str, files: int) -> dict[str, float]:
    number = files // 2 * tables.ROWS + 5
    return {"seconds": _timed(lambda: _expect(library.statistics(library.open(path), number), 1))}


def _append(library: Library, path: str, _: int) -> dict[str, float]:
    table = library.open(path)
    for number in range(WARM_UP):
        library.append(table, tables.rows(number))
    start = time.process_time()
    for number in range(APPENDS):
        library.append(table, tables.rows(WARM_UP + number))
    return {"seconds": (time.process_time() - start) / APPENDS}


def _checkpoint(library: Library, path: str, _: int) -> dict[str, float]:
    table = library.open(path)
    seconds = _timed(lambda: library.checkpoint(table))
    written = Path(path, "_delta_log").glob("*.checkpoint*.parquet")
    return {"seconds": seconds, "bytes": sum(each.stat().st_size for each in written)}


MEASURES: dict[str, Callable[[Library, str, int], dict[str, float]]] = {
    "import": _import,
    "open": _open,
    "list": _list,
    "open_and_list": _open_and_list,
    "paths": _paths,
    "partition": _partition,
    "statistics": _statistics,
    "append": _append,
    "checkpoint": _checkpoint,
}


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _expect(found: int, files: int) -> None:
    if found != files:
        raise ValueError(f"{found} files where there are {files}")


def main(name: str, measure: str, path: str, files: str, warm: str) -> None:
    """Run one measure and print its figures; a table of one file, at `warm`, is looked at before."""
    library = LIBRARIES[name]()
    table = library.open(warm)
    library.list(table)
    library.partition(table, tables.START)
    library.statistics(table, 0)
    figures = MEASURES[measure](library, path, int(files))
    print(json.dumps({**figures, "peak_mib": peak_memory() / MIB}))


if __name__ == "__main__":
    main(*sys.argv[1:])
