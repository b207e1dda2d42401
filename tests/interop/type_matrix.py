"""The type matrix: every Arrow type appended to a new table and to one that is there, read by all.

A cell says `same`, or `as T` if the same values came as another type, or `refused: why`; anything else is
a value that changed, and starts with `CHANGED`. `docs/types.md` holds the cells of all cases.
"""

import importlib.metadata
import re
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

import atomic_manifest as am
from atomic_manifest.errors import DataError, SchemaMismatch
from tests.interop.conftest import ENGINES
from tests.interop.exact import facts
from tests.interop.pandas_cases import PANDAS_CASES
from tests.interop.type_cases import CASES, TARGETS

CHANGED = "CHANGED"
COLUMNS: dict[str, Sequence[str]] = {
    "arrow": ("Arrow type", "first append", "second append", "as partition column", *ENGINES),
    "partitions": ("Arrow type", *ENGINES),
    "targets": ("Arrow type", "goes into columns of"),
    "pandas": ("dtype", "first append", "second append"),
}
"""The tables of the page, by the names of their places, with their columns."""

_ROW, _X = "row", "x"
_NOISE = (
    "not a schema a Delta table can have: ",
    "no data can be written: ",
    "cannot read pandas.DataFrame: ",
    f"partition column {_X!r}: ",
    f"column {_X!r}: ",
    f"column {_X!r} ",
    f"{_X}: ",
)
_names = count()


def type_name(kind: pa.DataType) -> str:
    """The name of a type, without those of the elements of lists, which differ among engines."""
    if pa.types.is_struct(kind):
        return f"struct<{', '.join(f'{each.name}: {type_name(each.type)}' for each in kind)}>"
    if pa.types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if pa.types.is_nested(kind):
        return f"{str(kind).partition('<')[0]}<{type_name(kind.value_type)}>"
    return str(kind)


def outcome(given: pa.Array, table: pa.Table, times: int = 1) -> str:
    """The cell of values that came back, each as often as it was written."""
    if _X not in table.column_names:
        return "left out" if given.null_count == len(given) else f"{CHANGED}: missing"
    read = table[_X]
    if facts(read) != [fact for fact in facts(given) for _ in range(times)]:
        return f"{CHANGED}: {read.to_pylist()!r:.80}"
    same = type_name(read.type) == type_name(given.type)
    return "same" if same else f"as `{type_name(read.type)}`"


def _refused(error: Exception) -> str:
    message = str(error).splitlines()[0]
    for noise in _NOISE:
        message = message.removeprefix(noise)
    message = re.sub(r" at 0x[0-9a-f]+| at line \d+ column \d+", "", message)
    return f"refused: {message.replace('<', '&lt;').replace('|', '&#124;'):.120}"


def _table(array: pa.Array) -> pa.Table:
    rows = pa.array(range(len(array)), pa.int64())
    return pa.Table.from_arrays([rows, array], names=[_ROW, _X])


def _new_url() -> str:
    return f"memory://type-matrix-{next(_names)}"


def _appended(write: Callable[[], object], given: pa.Array, url: str) -> list[str]:
    """The cells of two appends of the same."""
    cells = []
    for number in range(2):
        try:
            write()
        except DataError as error:
            cells.append(_refused(error))
            continue
        table = am.Table.open(url)
        assert table.version == number
        read = table.to_arrow().sort_by(_ROW)
        cells.append(outcome(given, read, number + 1))
    return cells


def _partitioned(array: pa.Array) -> str:
    url = _new_url()
    try:
        table = am.append(url, _table(array), partition_by=[_X])
    except DataError as error:
        return _refused(error)
    assert table.version == 0
    return outcome(array, am.Table.open(url).to_arrow().sort_by(_ROW))


def _read_by(engine: Callable[[str], pa.Table], array: pa.Array, path: str) -> str:
    try:
        read = engine(path)
    except Exception as error:
        return _refused(error)
    return outcome(array, read.sort_by(_ROW))


def arrow_row(name: str, folder: Path) -> list[str]:
    """The cells of an Arrow type.

    Args:
        name: Of a case.
        folder: Where a table may be made.
    """
    array, path = CASES[name], str(folder / "t")
    url = _new_url()
    cells = _appended(lambda: am.append(url, _table(array)), array, url)
    if cells[0].startswith("refused"):
        return [*cells, *("",) * (1 + len(ENGINES))]
    am.append(path, _table(array))
    engines = [_read_by(engine, array, path) for engine in ENGINES.values()]
    return [*cells, _partitioned(array), *engines]


def partitions_row(name: str, folder: Path) -> list[str]:
    """What other engines make of an Arrow type as a partition column; nothing if it cannot be one.

    Args:
        name: Of a case.
        folder: Where a table may be made.
    """
    array, path = CASES[name], str(folder / "t")
    try:
        am.append(path, _table(array), partition_by=[_X])
    except DataError:
        return []
    return [_read_by(engine, array, path) for engine in ENGINES.values()]


def targets_row(name: str) -> list[str]:
    """The one cell that tells which columns of a table that is there take an Arrow type."""
    array, url = CASES[name], _new_url()
    am.Table.create(url, pa.schema([(_ROW, pa.int64()), *TARGETS.items()]))
    left = dict.fromkeys(TARGETS)
    while left:
        rows = pa.array(range(len(array)), pa.int64())
        given = pa.Table.from_arrays([rows, *([array] * len(left))], names=[_ROW, *left])
        try:
            am.append(url, given)
        except SchemaMismatch as error:
            refused = {column.partition(".")[0] for column in error.columns}
        except DataError as error:
            refused = {error.column.partition(".")[0]}
        else:
            break
        assert refused <= set(left), refused
        left = {column: None for column in left if column not in refused}
    if left:
        read = am.Table.open(url).to_arrow().sort_by(_ROW)
        for column in left:
            # Fields that a struct lacks are null in the column.
            found, given = (map(_known, facts(each)) for each in (read[column], array))
            assert list(found) == list(given), (name, column)
    return [", ".join(f"`{column}`" for column in left)]


def _known(fact: Any) -> Any:
    """The same without the fields of structs that are null."""
    if not isinstance(fact, tuple):
        return fact
    of_struct = fact[0] == "struct"
    return tuple(
        _known(each)
        for each in fact
        if not (of_struct and isinstance(each, tuple) and each[1] is None)
    )


def pandas_row(name: str) -> list[str]:
    """The cells of a dtype of pandas."""
    series, expected = PANDAS_CASES[name]
    frame, url = series.rename(_X).to_frame().assign(row=range(len(series))), _new_url()
    given = pa.nulls(len(series)) if expected is None else expected
    cells = _appended(lambda: am.append(url, frame), given, url)
    schema = None if cells[0].startswith("refused") else am.Table.open(url).schema
    read = schema.field(_X).type if schema is not None and _X in schema.names else None
    return [cell if cell != "same" else f"as `{type_name(read)}`" for cell in cells]


def version_of(engine: str) -> str:
    """The version of an engine that is installed."""
    return importlib.metadata.version(engine)


def lines(place: str, rows: dict[str, list[str]]) -> list[str]:
    """A table of the page, as Markdown.

    Args:
        place: One of `COLUMNS`.
        rows: Its cells by the names of the cases.
    """
    titles = [
        f"{title} {version_of(title)}" if title in ENGINES else title for title in COLUMNS[place]
    ]
    return [
        f"| {' | '.join(titles)} |",
        f"|{' --- |' * len(titles)}",
        *(line(name, cells) for name, cells in rows.items()),
    ]


def line(name: str, cells: Sequence[str]) -> str:
    """One row of a table of the page."""
    return f"| `{name}` | {' | '.join(cells)} |".replace("  ", " ")
