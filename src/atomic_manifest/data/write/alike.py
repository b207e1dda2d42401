"""Columns worth a dictionary (see `encoder`), found out once for row groups that are alike.

To look for them takes a small row group a fifth of all its time. Small row groups of one write that have
about as many rows are alike: one of several is looked at.

Invariant: which one follows from the order of the row groups alone, never from how fast they are encoded.

Error semantics: what reading the rows raises comes through.
"""

from collections.abc import Sequence

from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.row_group import Rows

_SMALL = 4 << 20
"""Bytes of rows. Beyond, each is looked at: there it takes next to no time."""

_ALIKE = 16
"""Row groups of which one is looked at."""


class Alike:
    """The row groups of one write. To be used by one thread.

    Args:
        encoder: Encodes them.
    """

    def __init__(self, encoder: RowGroupEncoder) -> None:
        self._encoder = encoder
        # By the number of rows in bits: for how many row groups it still holds, and what was found.
        self._found: dict[int, tuple[int, Sequence[str]]] = {}

    def dictionaries(self, rows: Rows) -> Sequence[str] | None:
        """What Parquet calls the columns worth a dictionary; None: whoever encodes the rows shall look."""
        if rows.nbytes >= _SMALL:
            return None
        bits = rows.num_rows.bit_length()
        left, names = self._found.get(bits, (0, ()))
        if not left:
            left, names = _ALIKE, self._encoder.worth_dictionary(rows.read())
        self._found[bits] = left - 1, names
        return names
