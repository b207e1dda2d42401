"""How far an operation is, told to a callback of fsspec's kind and drawn as a bar.

Rows are what is counted: an operation knows best how many there will be. Bytes go to the callback's
child, as fsspec hands them on: those of the files that are written, or those that the rows take in
memory when they are read.

Invariants: callbacks are called in the thread that pulls the rows, in order, and never any more once the
commit has begun. So a callback may raise, to stop the operation: nothing of it is then in the log, and
its files are gone. Callbacks and bars nobody asked for cost nothing.

Error semantics: what a callback raises comes through as it is.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa

from atomic_manifest.data.write.writer import Progress
from atomic_manifest.errors import DataError

_METHODS = ("set_size", "relative_update")


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to know how far an operation is.

    Attributes:
        callback: Has `set_size(n)` and `relative_update(n)`, as `fsspec.callbacks.Callback`, or is None.
        bar: Whether to draw a bar.
        rows: How many rows there will be; None if that is not known.
    """

    callback: Any = None
    bar: bool = False
    rows: int | None = None

    def __bool__(self) -> bool:
        return self.callback is not None or self.bar

    @contextmanager
    def following(self, title: str, url: str) -> Iterator[Progress | None]:
        """What to call with the rows and bytes so far, for the length of a block; None for nobody.

        Args:
            title: What is done, for the bar.
            url: Of the table, for the callback's child.
        """
        with ExitStack() as stack:
            told: list[Progress] = []
            if self.callback is not None:
                told.append(stack.enter_context(_calling(self.callback, self.rows, url)))
            if self.bar:
                told.append(stack.enter_context(_drawing(title, self.rows)))
            yield _to_all(told) if told else None


NOBODY = Watch()


def watch(callback: Any, *, progress: bool, data: Any = None) -> Watch:
    """Check who wants to know of an operation on `data`, before it begins.

    Raises:
        DataError: `callback` lacks a method, or `progress` is not a bool.
        ModuleNotFoundError: rich, which draws the bar, is not installed.
    """
    if not isinstance(progress, bool):
        raise DataError(
            f"progress is True or False, got {progress!r}; an object goes to `callback`"
        )
    for name in _METHODS if callback is not None else ():
        if not callable(getattr(callback, name, None)):
            kind = f"{type(callback).__module__}.{type(callback).__qualname__}"
            raise DataError(
                f"callback of type {kind} has no {name}(); see fsspec.callbacks.Callback"
            )
    if progress:
        _rich("progress")
    rows = None if callback is None and not progress else known_rows(data)
    return Watch(callback, progress, rows)


def known_rows(data: Any) -> int | None:
    """How many rows an input has, if it tells without being read."""
    if isinstance(data, pa.Table | pa.RecordBatch):
        return int(data.num_rows)
    if isinstance(data, Mapping):
        column = next(iter(data.values()), None)
        return len(column) if isinstance(column, Sized) else None
    for module in ("pandas", "polars"):
        kind = getattr(sys.modules.get(module), "DataFrame", None)
        if kind is not None and isinstance(data, kind):
            return len(data)
    return None


def watched(
    reader: pa.RecordBatchReader, watch: Watch, *, title: str, url: str
) -> pa.RecordBatchReader:
    """The same batches, telling of each when it was read. The bar is there while they are read."""
    if not watch:
        return reader

    def batches() -> Iterator[pa.RecordBatch]:
        rows = size = 0
        with watch.following(title, url) as told:
            for batch in reader:
                rows, size = rows + batch.num_rows, size + batch.nbytes
                if told is not None:
                    told(rows, size)
                yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _to_all(told: list[Progress]) -> Progress:
    def tell(rows: int, size: int) -> None:
        for each in told:
            each(rows, size)

    return tell


@contextmanager
def _calling(callback: Any, rows: int | None, url: str) -> Iterator[Progress]:
    branched: Callable[[str, str], Any] | None = getattr(callback, "branched", None)
    with ExitStack() as stack:
        child = None if branched is None else stack.enter_context(branched("bytes", url))
        count_rows = _Steps(callback.relative_update)
        count_bytes = _Steps(_ignore if child is None else child.relative_update)
        if rows is not None:
            callback.set_size(rows)

        def tell(done: int, size: int) -> None:
            count_rows.to(done)
            count_bytes.to(size)

        yield tell


class _Steps:
    """Calls with how much was added, if anything was."""

    def __init__(self, add: Callable[[int], None]) -> None:
        self._add = add
        self._last = 0

    def to(self, value: int) -> None:
        step, self._last = value - self._last, value
        if step:
            self._add(step)


def _ignore(_: int) -> None:
    """Nobody counts bytes."""


@contextmanager
def _drawing(title: str, rows: int | None) -> Iterator[Progress]:
    rich, filesize = _rich("progress"), _rich("filesize")
    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TextColumn("{task.completed:,.0f} rows"),
        rich.TextColumn("{task.fields[size]}"),
        rich.TimeElapsedColumn(),
    )
    console = _rich("console").Console(stderr=True)
    with rich.Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=rows, size="")

        def tell(done: int, size: int) -> None:
            bar.update(task, completed=done, size=filesize.decimal(size))

        yield tell
        if rows is None:
            bar.update(task, total=bar.tasks[0].completed)


def _rich(name: str) -> Any:
    try:
        return import_module(f"rich.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "progress=True draws with rich, which is not installed; `callback` needs nothing"
        ) from error
