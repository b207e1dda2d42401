"""pandas frames and mappings of Python sequences as streams of record batches.

Invariants: a big frame is converted piece by piece, so that there is never a second copy of it. Columns
of Python objects hold values of one kind (see `objects`). pandas is never imported: who has a frame has.

Error semantics: `DataError` naming the column at fault where one is.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from atomic_manifest.data.input.objects import check_objects
from atomic_manifest.errors import DataError

_FRAME_ROWS = 1 << 20
_FAILURES = (pa.ArrowException, TypeError, ValueError, OverflowError)


def of_frame(frame: Any, *, preserve_index: bool | None) -> pa.RecordBatchReader:
    """Read a pandas DataFrame.

    Args:
        frame: The DataFrame.
        preserve_index: See `source.open_source`.

    Raises:
        DataError: Arrow cannot hold a column as it is.
    """
    frame, preserve_index = _with_index(frame, preserve_index=preserve_index)
    columns = dict(enumerate(column for _, column in frame.items()))
    names = dict(enumerate(frame.columns))
    levels = range(frame.index.nlevels) if preserve_index is not False else ()
    unnamed = range(len(columns), len(columns) + len(levels))
    for level in levels:
        number = len(columns)
        columns[number] = frame.index.get_level_values(level)
        names[number] = frame.index.names[level]
    check_labels(
        *(name for level, name in names.items() if level not in unnamed or name is not None)
    )
    for number, column in columns.items():
        _check(column, str(names[number]))
    try:
        return _converted(frame, preserve_index=preserve_index)
    except _FAILURES as error:
        raise _refusal(error, ((names[number], columns[number]) for number in columns)) from error


def of_mapping(data: Mapping[Any, Any]) -> pa.RecordBatchReader:
    """Read columns given by their names.

    Args:
        data: Of each column its name and its values: a sequence, or an array of Arrow, NumPy or pandas.

    Raises:
        DataError: As `of_frame`.
    """
    check_labels(*data)
    for name, values in data.items():
        if isinstance(values, list | tuple):
            check_objects(values, name, nan_is_null=False)
        else:
            _check(values, name)
    try:
        return pa.table(dict(data)).to_reader()
    except _FAILURES as error:
        raise _refusal(error, data.items()) from error


def check_labels(*labels: Any) -> None:
    """Refuse to call columns by what is no text, which would come back as its text.

    Raises:
        DataError: Naming one.
    """
    for label in labels:
        if not isinstance(label, str):
            raise DataError(
                f"column {label!r} is called by no text: rename it, such as by "
                "frame.columns = [str(name) for name in frame.columns]",
                column=str(label),
            )


def _with_index(frame: Any, *, preserve_index: bool | None) -> tuple[Any, bool | None]:
    """The frame without those levels of its index that go, and what to tell Arrow of the rest."""
    if preserve_index is not None:
        return frame, preserve_index
    names = list(frame.index.names)
    for name in names:
        if name is not None and (name in frame.columns or names.count(name) > 1):
            # Arrow would call it `__index_level_0__`.
            raise DataError(
                f"index level {name!r} has the name of another column: rename it, or drop it with "
                "preserve_index=False",
                column=str(name),
            )
    named = [name is not None for name in names]
    if not all(named):
        unnamed = [level for level, keep in enumerate(named) if not keep]
        frame = frame.reset_index(unnamed, drop=True)
    # Not None, by which Arrow would leave out a RangeIndex: pandas makes one of any evenly spaced numbers.
    return frame, any(named)


def _check(column: Any, name: str) -> None:
    """Look at the objects of a column, or of the categories that it is of."""
    kind = getattr(column, "dtype", None)
    categories = getattr(kind, "categories", None)
    if categories is not None:
        _check(categories, name)
    elif getattr(kind, "kind", None) == "O" and type(kind).__module__.startswith("numpy"):
        of_pandas = type(column).__module__.startswith("pandas")
        values = column.to_numpy() if of_pandas else column
        check_objects(values, name, nan_is_null=of_pandas)


def _converted(frame: Any, *, preserve_index: bool | None) -> pa.RecordBatchReader:
    if len(frame) <= _FRAME_ROWS:
        return pa.Table.from_pandas(frame, preserve_index=preserve_index).to_reader()
    schema = pa.Schema.from_pandas(frame, preserve_index=preserve_index)
    pieces = (
        frame.iloc[start : start + _FRAME_ROWS] for start in range(0, len(frame), _FRAME_ROWS)
    )
    batches = (
        pa.RecordBatch.from_pandas(piece, schema=schema, preserve_index=preserve_index)
        for piece in pieces
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _refusal(error: Exception, columns: Iterable[tuple[Any, Any]]) -> Exception:
    """The error with the name of the first column that cannot be converted; as it is if all can."""
    for name, column in columns:
        try:
            pa.array(column)
        except _FAILURES:
            return DataError(f"column {name!r}: {error.args[0]}", column=str(name))
    return error
