"""A `pyarrow.dataset.Dataset` over files of which Arrow itself can only read some.

Invariants: whatever goes through a scanner (`scanner`, `to_table`, `to_batches`, `head`, `take`,
`count_rows`, and with them DuckDB, Polars and pandas) streams the rows of the table, no more and no less.
Whatever looks behind it for files to read on its own (`get_fragments`, `sort_by`, joins, pickles) finds a
single file that cannot be opened: it gets an error that says so, never rows that are deleted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NoReturn, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from atomic_manifest.data.filter.filters import columns_in
from atomic_manifest.data.read.adapt import reads_as
from atomic_manifest.data.read.files import DataFile, FileReader
from atomic_manifest.data.read.guarantees import possible
from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.threads import ahead

BATCH_ROWS = 1 << 17
"""The most rows of a batch, by default."""

_OURS = re.compile(r"(?:.*/)?part-\d+-[0-9a-f]{32}\.parquet")
_AHEAD = 16  # footers that are fetched at a time

_MESSAGE = (
    "this table has deletion vectors or mapped columns, which Arrow's own file fragments do not know; "
    "read it by scanner(), to_table() or to_batches()"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of a scan.

    Attributes:
        schema: The table's.
        plain: Those that Arrow reads right.
        special: The others.
        reader: Reads the others.
        sizes: Bytes of all, by path.
        files: What the log says of the plain ones, by path.
        fields: Of the table that files store.
    """

    schema: pa.Schema
    plain: ds.FileSystemDataset
    special: Sequence[DataFile]
    reader: FileReader
    sizes: Mapping[str, int]
    files: Mapping[str, DataFile]
    fields: Sequence[pa.Field]
    _found_right: list[pa.Schema] = field(default_factory=list)

    def odd(self, fragment: ds.Fragment) -> DataFile | None:
        """The file of a fragment whose columns Arrow does not find. Reads its footer, if nobody has."""
        given = fragment.physical_schema
        if any(given.equals(schema) for schema in self._found_right[-1:]):
            return None
        if reads_as(given, self.fields):
            self._found_right.append(given)
            return None
        return self.files[fragment.path]

    def checked(self, filter: pc.Expression | None, *, trusting: bool = True) -> "Parts":
        """The same files, with those among the special ones whose columns Arrow does not find.

        Args:
            filter: Of the rows that are wanted: of other files it does not matter.
            trusting: Believe files that are called like ours, unread.
        """
        fragments = [
            fragment
            for fragment in self.plain.get_fragments(filter)
            if not (trusting and _OURS.fullmatch(fragment.path))
        ]
        if not fragments:
            return self
        found = {
            file.path: file
            for file in ahead("scan", self.odd, fragments, _AHEAD)
            if file is not None
        }
        if not found:
            return self
        plain = self.plain
        right = [each for each in plain.get_fragments(filter) if each.path not in found]
        return replace(
            self,
            plain=ds.FileSystemDataset(right, self.schema, plain.format, plain.filesystem),
            special=[*self.special, *found.values()],
        )

    def read_whole(self, filter: pc.Expression | None) -> "Parts":
        """The same files, all of them special: none is left out by the bounds of its row groups."""
        plain = self.plain
        files = [self.files[each.path] for each in plain.get_fragments(filter)]
        nothing = ds.FileSystemDataset([], self.schema, plain.format, plain.filesystem)
        return replace(self, plain=nothing, special=[*self.special, *files])

    def special_batches(
        self,
        columns: Sequence[str] | Mapping[str, pc.Expression] | None,
        filter: pc.Expression | None,
        batch_size: int = BATCH_ROWS,
        more: Sequence[DataFile] = (),
    ) -> Iterator[pa.RecordBatch]:
        """The rows of the special files, read as they are asked for.

        Args:
            columns: As for `pyarrow.dataset.Dataset.scanner`.
            filter: Rows to give; files that cannot hold any are not read.
            batch_size: The most rows of a batch.
            more: Other files that are found to be special.
        """
        files = [*self.special, *more]
        if filter is not None:
            guarantees = [file.guarantee for file in files]
            files = [files[number] for number in possible(guarantees, self.schema, filter)]
        pieces = (
            batch.slice(start, batch_size)
            for _, batch in self.reader.read(files, self.needed(columns, filter))
            for start in range(0, batch.num_rows, batch_size)
        )
        yield from self.asked(pieces, columns, filter)

    def asked(
        self,
        batches: Iterable[pa.RecordBatch],
        columns: Sequence[str] | Mapping[str, pc.Expression] | None,
        filter: pc.Expression | None,
    ) -> Iterator[pa.RecordBatch]:
        """What was asked for, of batches that have the `needed` columns."""
        needed = self.needed(columns, filter)
        schema = pa.schema([self.schema.field(name) for name in needed])
        for batch in batches:
            # A scanner a batch: one over all of them would run far ahead of its reader.
            yield from ds.Scanner.from_batches(
                [batch], schema=schema, columns=columns, filter=filter
            ).to_batches()

    def needed(
        self, columns: Sequence[str] | Mapping[str, pc.Expression] | None, filter: Any
    ) -> list[str]:
        """The top-level columns to read; at least one, for a batch without any has no length."""
        schema = self.schema
        if columns is None:
            return list(schema.names)
        expressions = list(columns.values()) if isinstance(columns, Mapping) else []
        found = set() if isinstance(columns, Mapping) else set(columns)
        for expression in expressions if filter is None else [*expressions, filter]:
            found |= columns_in(expression, schema)
        return [name for name in schema.names if name in found] or [schema.names[0]]


class _Guard(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow ships no types
    """A filesystem in which nothing can be opened."""

    def get_type_name(self) -> str:
        return "atomic_manifest_guard"

    def normalize_path(self, path: str) -> str:
        return path

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsupportedByStore(_MESSAGE, path="")

    get_file_info = get_file_info_selector = open_input_file = open_input_stream = _refuse
    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refuse
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return _Guard, ()


class TableDataset(ds.UnionDataset):  # type: ignore[misc]  # pyarrow ships no types
    """See the module docstring.

    Args:
        parts: The files.
        filter: Rows to give; None for all.
    """

    def __init__(self, parts: Parts, filter: pc.Expression | None = None) -> None:
        parquet, nowhere = ds.ParquetFileFormat(), fs.PyFileSystem(_Guard())
        fragment = parquet.make_fragment(_MESSAGE, nowhere)
        guard = ds.FileSystemDataset([fragment], parts.schema, parquet, nowhere)
        super().__init__(parts.schema, [guard])
        self._parts = parts
        self._filter = filter

    def filter(self, expression: pc.Expression) -> Self:
        """See `pyarrow.dataset.Dataset.filter`."""
        return type(self)(self._parts, both(self._filter, expression))

    def scanner(
        self,
        columns: Sequence[str] | Mapping[str, pc.Expression] | None = None,
        filter: pc.Expression | None = None,
        **options: Any,
    ) -> ds.Scanner:
        """See `pyarrow.dataset.Dataset.scanner`."""
        chosen = both(self._filter, filter)
        parts = self._parts.checked(chosen)
        first = parts.plain.scanner(columns=columns, filter=chosen, **options)
        result = first.projected_schema
        rest = parts.special_batches(columns, chosen, options.get("batch_size", BATCH_ROWS))
        batches = (
            # A batch without columns has rows all the same, which only it knows the number of.
            pa.RecordBatch.from_arrays(batch.columns, schema=result) if result.names else batch
            for batch in chain(first.to_batches(), rest)
        )
        return ds.Scanner.from_batches(batches, schema=result)


def both(one: pc.Expression | None, other: pc.Expression | None) -> pc.Expression | None:
    """The conjunction of two filters."""
    if one is None or other is None:
        return other if one is None else one
    return one & other
