"""Rows of a checkpoint in the order that lets readers skip most of them, without holding all of them.

Files are sorted by partition, then by the lower bound of the first column that has one, so that the
statistics of a row group tell it from the others. What is to be merged comes in blocks, each with the
range of its first key. A block that lies before all that follow goes out at once; of blocks that overlap
goes out what lies before the next, and the rest is held, up to `HELD_ROWS`, and sorted together. So of
input that is sorted the output is, and what is not gets better with every checkpoint. Order means nothing
to the table's state.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

ROWS_PER_GROUP = 32_768
"""Rows of a row group: what a reader reads at least."""

HELD_ROWS = 4 * ROWS_PER_GROUP
"""Rows that are held to be sorted together."""

_MANY = 2**31  # places: for as many again, for each of them, there is room in 64 bits

KEY = "_key_"
"""What the names of columns that are sorted by begin with."""


Rank: TypeAlias = tuple[Any, ...]
"""Where a key is in the order, as something to compare."""

FIRST: Rank = (0,)
"""Before all keys."""

LAST: Rank = (2,)
"""Behind all keys, where nulls are."""


def rank(key: Any) -> Rank:
    """The rank of a key, or of null."""
    return LAST if key is None else (1, key)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that come together.

    Attributes:
        low: No row's first key comes before it.
        high: No row's first key comes behind it.
        read: Gives the rows, with their keys in columns whose names begin with `KEY`.
    """

    low: Rank
    high: Rank
    read: Callable[[], Iterable[pa.Table]]


def in_order(blocks: Sequence[Block]) -> Iterator[pa.Table]:
    """The rows of all blocks, sorted as the module says, in tables of any size and with their keys."""
    blocks = _comparable(blocks)
    ordered = sorted(blocks, key=lambda block: block.low)
    following = [*(block.low for block in ordered), None][1:]
    reach = FIRST
    held: list[pa.Table] = []
    for block, low in zip(ordered, following, strict=True):
        for table in block.read():
            held.append(table)
            if sum(part.num_rows for part in held) > HELD_ROWS:
                yield _lesser_half(held)
        reach = max(reach, block.high)
        if not held:
            continue
        if low is None or reach <= low:
            yield _sorted(held)
            reach = FIRST
        elif before := _before(held, low):
            yield _sorted(before)


def _comparable(blocks: Sequence[Block]) -> Sequence[Block]:
    """Blocks whose ranges can be compared: none has one if some key is of another type."""
    ranks = [rank for block in blocks for rank in (block.low, block.high)]
    try:
        sorted(ranks)
    except TypeError:
        return [Block(FIRST, LAST, block.read) for block in blocks]
    return blocks


def _lesser_half(held: list[pa.Table]) -> pa.Table:
    """Take the lesser half of the rows out of what is held."""
    table = _sorted(held)
    half = table.num_rows // 2
    held.append(table.slice(half))
    return table.slice(0, half)


def _before(held: list[pa.Table], low: Rank) -> list[pa.Table]:
    """Take the rows whose first key is before `low` out of what is held, if they are most of it."""
    if len(low) == 1:
        return []
    try:
        masks = [
            pc.fill_null(pc.less(table[f"{KEY}0"], low[1]), False)  # noqa: FBT003 - a value
            for table in held
        ]
    except (pa.ArrowException, KeyError):
        return []
    count = sum(pc.sum(mask).as_py() or 0 for mask in masks)
    if count * 2 < sum(table.num_rows for table in held):
        return []
    before = [table.filter(mask) for table, mask in zip(held, masks, strict=True)]
    held[:] = [table.filter(pc.invert(mask)) for table, mask in zip(held, masks, strict=True)]
    return before


def _sorted(held: list[pa.Table]) -> pa.Table:
    """Take all rows out of what is held, sorted by their keys; as they are if they are already."""
    table = pa.concat_tables(held)
    held.clear()
    names = [name for name in table.column_names if name.startswith(KEY)]
    if not names or table.num_rows < 2:  # noqa: PLR2004 - one row is sorted
        return table
    keys = table.select(names).combine_chunks()
    if _is_sorted([key.chunk(0) for key in keys.columns]):
        return table
    table = table.combine_chunks()  # the pieces are let go before there is a third copy
    return table.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names]))


def _is_sorted(keys: Sequence[pa.Array]) -> bool:
    """Whether no row is certainly or possibly out of order; where there are nulls it is left open."""
    in_order: Any = True
    for key in reversed(keys):
        here, after = key[:-1], key[1:]
        in_order = pc.or_(pc.less(here, after), pc.and_(pc.equal(here, after), in_order))
    return bool(pc.all(in_order, skip_nulls=False).as_py())


def partition_order(partitions: pa.StructArray) -> pa.Array | None:
    """The positions of partition values in their order, equal ones as they come.

    Returns:
        None if that is how they are.
    """
    codes, places = pa.repeat(pa.scalar(0, pa.int64()), len(partitions)), 1
    for index in range(partitions.type.num_fields):
        if places > _MANY:
            codes, places = _ranks(codes)
        ranks, count = _ranks(partitions.field(index))
        codes, places = pc.add(pc.multiply(codes, count), ranks), places * count
    return None if _is_sorted([codes]) else pc.sort_indices(codes).cast(pa.int64())


def _ranks(values: pa.Array) -> tuple[pa.Array, int]:
    """The places of values among the distinct ones, nulls last, and how many places there are."""
    distinct = values.dictionary_encode()
    count = len(distinct.dictionary)
    ranks = pc.sort_indices(pc.sort_indices(distinct.dictionary)).cast(pa.int64())
    return pc.fill_null(ranks.take(distinct.indices), count), count + 1


def in_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of `ROWS_PER_GROUP`, but for the last, without their keys."""
    held: list[pa.Table] = []
    for table in tables:
        keys = [name for name in table.column_names if name.startswith(KEY)]
        held.append(table.drop_columns(keys))
        if sum(part.num_rows for part in held) >= ROWS_PER_GROUP:
            whole = pa.concat_tables(held)
            full = whole.num_rows - whole.num_rows % ROWS_PER_GROUP
            for start in range(0, full, ROWS_PER_GROUP):
                yield whole.slice(start, ROWS_PER_GROUP)
            held = [whole.slice(full)]
    rest = pa.concat_tables(held) if held else None
    if rest is not None and rest.num_rows:
        yield rest
