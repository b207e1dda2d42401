"""A `pyarrow.dataset.FileSystemDataset` that looks whether Arrow finds the table's columns in each file.

Arrow knows the names of columns in their very case only, and reads null where it finds none. A file is
known when its footer is: where all is read at once that is afterwards, at no cost, and where a scanner is
handed out, before. Files with the name of one of ours are not looked at before: they have the table's
columns. Whatever looks behind the scanner (`sort_by`, joins, pickles) is Arrow's own.

A filter on one float column that NaN passes is applied after reading, for Arrow prunes NaN away.

Error semantics: as `reader.to_dataset`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from atomic_manifest.data.filter.filters import outdoes_bounds
from atomic_manifest.data.read.table_dataset import Parts, TableDataset, both

_Columns = Sequence[str] | Mapping[str, pc.Expression] | None


class CheckedDataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow ships no types
    """See the module docstring.

    Args:
        parts: The files; none of them is special.
    """

    def __init__(self, parts: Parts) -> None:
        plain = parts.plain
        super().__init__(list(plain.get_fragments()), parts.schema, plain.format, plain.filesystem)
        self._parts = parts
        self._filter: pc.Expression | None = None

    def __reduce__(self) -> Any:
        if self._filter is not None:
            raise TypeError(
                "a dataset with a filter cannot be pickled: pickle it without, and filter it in the"
                " other process"
            )
        return super().__reduce__()

    def filter(self, expression: pc.Expression) -> Self:
        """See `pyarrow.dataset.Dataset.filter`."""
        found: Self = super().filter(expression)
        found._parts, found._filter = self._parts, both(self._filter, expression)
        return found

    def scanner(
        self, columns: _Columns = None, filter: pc.Expression | None = None, **options: Any
    ) -> ds.Scanner:
        """See `pyarrow.dataset.Dataset.scanner`."""
        chosen = both(self._filter, filter)
        parts = self._read_whole(chosen) or self._parts.checked(chosen)
        if not parts.special:
            return super().scanner(columns=columns, filter=filter, **options)
        return TableDataset(parts, chosen).scanner(columns, **options)

    def to_table(
        self, columns: _Columns = None, filter: pc.Expression | None = None, **options: Any
    ) -> pa.Table:
        """See `pyarrow.dataset.Dataset.to_table`."""
        chosen = both(self._filter, filter)
        if (whole := self._read_whole(chosen)) is not None:
            return TableDataset(whole, chosen).to_table(columns=columns, **options)
        try:
            table = super().scanner(columns=columns, filter=filter, **options).to_table()
            parts = self._parts.checked(chosen, trusting=False)
            if not parts.special:
                return table
        except pa.ArrowException:
            parts = self._parts.checked(chosen, trusting=False)
            if not parts.special:
                raise
        return TableDataset(parts, chosen).to_table(columns=columns, **options)

    def _read_whole(self, chosen: pc.Expression | None) -> Parts | None:
        """The files, if for certain a filter wants rows that the bounds of row groups pass over."""
        if chosen is None or not outdoes_bounds(chosen, self.schema, unsure=False):
            return None
        return self._parts.read_whole(chosen)
