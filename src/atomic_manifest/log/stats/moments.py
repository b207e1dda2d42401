"""Dates and times of statistics from their texts, in Arrow: see `times`."""

import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.stats.times import OFFSET_MICROSECONDS

_FIRST, _END = -62_135_596_800, 253_402_300_800  # the years 1 to 9999, in seconds since 1970


def from_texts(texts: pa.Array, type_: pa.DataType, kind: str) -> pa.Array:
    """The bounds that texts tell, as a type of dates or times.

    Args:
        texts: Of one column.
        type_: The column's.
        kind: `minValues` or `maxValues`.

    Raises:
        pyarrow.ArrowException: A text that is none.
    """
    values = texts.cast(type_)
    if not pa.types.is_timestamp(type_) or type_.tz is None:
        return values
    exact = pc.ends_with(texts, "Z")
    if pc.all(exact, min_count=0).as_py():
        return values
    move = pc.add_checked if kind == "maxValues" else pc.subtract_checked
    slack = pa.scalar(OFFSET_MICROSECONDS, pa.duration("us")).cast(pa.duration(type_.unit))
    moved = pc.if_else(exact, values, move(values, slack))
    # Python has none for those beyond, which would be in no one's way until they are written.
    within = pc.and_(
        pc.greater_equal(moved, _limit(_FIRST, type_)), pc.less(moved, _limit(_END, type_))
    )
    return pc.if_else(within, moved, None)


def _limit(seconds: int, type_: pa.DataType) -> pa.Scalar:
    return pa.scalar(seconds, pa.int64()).cast(pa.timestamp("s")).cast(type_)
