"""Groups of a checkpoint's rows, and what their footers say of them before they are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class LeafStatistics:
    """What a footer says of one column in a group of rows.

    Attributes:
        minimum: No value is less; None if that is not known. As pyarrow gives it.
        maximum: No value is greater.
        null_count: Rows in which it is null, those of other actions among them; None if not known.
    """

    minimum: Any
    maximum: Any
    null_count: int | None


class RowGroup(Protocol):
    """Rows of a checkpoint that are read together."""

    @property
    def rows(self) -> int:
        """Rows, of whatever action."""
        ...

    @property
    def path(self) -> str:
        """The file it is in."""
        ...

    def statistics(self, leaf: tuple[str, ...]) -> LeafStatistics | None:
        """What is known of a column without reading it.

        Args:
            leaf: Its path in the checkpoint's schema: `("add", "stats_parsed", "minValues", "id")`.
        """
        ...

    def read(self, kind: str, fields: Sequence[str]) -> Iterator[pa.StructArray]:
        """The rows that are such an action, with the fields of them that the file has, and the path."""
        ...

    def forget(self) -> None:
        """Let go of what was read of the file, which came damaged, so that it is read again."""
        ...
