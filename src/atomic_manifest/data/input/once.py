"""Inputs that give their rows once: a second reading of one is refused, not taken for no rows.

What an iterator or a reader has given is gone. Given again, by a function that runs again after a
conflict or by a caller who tries a failed write again, it holds the rest of its rows or none, and a
commit without them would look like one of all.

Invariants: what was not read is not refused, so data that did not fit by its schema may be given again.
An input that was read to its end may go on giving, as one that follows a queue does; only if it gives
nothing more is it refused. Nothing is kept alive but what a `Table.run` was given, and that as long as it
runs. A used-up iterator that Python cannot refer to weakly, such as that of a list, cannot be told from an
empty one outside of a run, and no reader from one that the caller has read.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import pyarrow as pa

from atomic_manifest.errors import DataError

T = TypeVar("T")


class Inputs:
    """What was read of inputs that give their rows once.

    Args:
        mapping: Makes what holds them by their `id`: it says how long they are remembered.
    """

    def __init__(self, mapping: Callable[[], MutableMapping[int, Any]] = dict) -> None:
        self._begun, self._gave = mapping(), mapping()
        self._iterated = self._again = False

    def begin_again(self) -> None:
        """What gives its rows now is given by a function that is called again."""
        self._again = self._iterated

    def elements(self, data: Any, elements: Iterable[T]) -> Iterator[T]:
        """The elements of an iterator or reader, which is remembered once the first is asked for.

        Raises:
            DataError: It was read before.
        """
        if id(data) in self._begun:
            raise used_up(data, "an earlier write began to read it")
        if inspect.isgenerator(data) and inspect.getgeneratorstate(data) == inspect.GEN_CLOSED:
            raise used_up(data, "it has ended")
        return self._followed(data, elements)

    def stream(self, data: Any, reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """The rows of an object of which nobody knows whether it gives them once."""

        def batches() -> Iterator[pa.RecordBatch]:
            rows = 0
            for batch in reader:
                rows += batch.num_rows
                yield batch
            self._ended(data, gave=rows > 0)

        return pa.RecordBatchReader.from_batches(reader.schema, batches())

    def _followed(self, data: Any, elements: Iterable[T]) -> Iterator[T]:
        count = 0
        _keep(self._begun, data)
        for element in elements:
            count += 1
            yield element
        self._begun.pop(id(data), None)
        self._ended(data, gave=count > 0)
        if isinstance(data, pa.RecordBatchReader):
            return
        if self._again and not count:
            raise used_up(data, "it gave nothing, and an earlier attempt had rows of an iterator")
        self._iterated = self._iterated or count > 0

    def _ended(self, data: Any, *, gave: bool) -> None:
        if gave:
            _keep(self._gave, data)
        elif id(data) in self._gave:
            raise used_up(data, "it gave all its rows to an earlier write")


def _keep(held: MutableMapping[int, Any], data: Any) -> None:
    try:
        held[id(data)] = data
    except TypeError:  # there are no weak references to it
        return


def used_up(data: Any, how: str) -> DataError:
    """The error for an input whose rows are gone."""
    kind = type(data)
    return DataError(
        f"{kind.__module__}.{kind.__qualname__} was used up: {how}, and its rows can be read once. Give a "
        "table or a list, or make it anew for each call (in a function for `Table.run`, make it there)"
    )


EVER = Inputs(WeakValueDictionary)
"""What was given to any write of this process, as long as somebody else holds it."""
