"""How far the times of statistics may be from those of the rows.

Rules, by what writers do:

* A zone's offset is cut to minutes (Spark 3.2 and 3.3), though zones had seconds in theirs before they
  had a standard time, the last until 1972. So a bound with an offset other than `Z` may be wrong by a
  minute; of a bound that is no text any more, one before 1972.
* Files may hold old times by the Julian calendar or without the local times of places (Spark's legacy
  rebase), where their statistics do not: dates before 1582 by ten days, times before 1900 by eleven.

Pure, without Arrow.
"""

import datetime as dt
import re

_OFFSET = re.compile(r"[+-]\d\d(:?\d\d){0,2}$")
_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - counted from with and without zone


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


OFFSET_MICROSECONDS = 60_000_000
"""What an offset may have lost."""

OFFSETS_WHOLE_SINCE = _microseconds(dt.datetime(1972, 2, 1))  # noqa: DTZ001 - see above
"""Since when the offsets of all zones are whole minutes, in microseconds since 1970."""

TIMES_AGREE_SINCE = _microseconds(dt.datetime(1900, 1, 2))  # noqa: DTZ001 - see above
"""Since when calendars and zones agree, in microseconds since 1970."""

TIMES_DIFFER_MICROSECONDS = 11 * 24 * 60 * 60 * 1_000_000
"""By how much times may differ before."""

DATES_AGREE_SINCE = dt.date(1582, 10, 15)
"""Since when both calendars have the same dates."""

DATES_DIFFER = dt.timedelta(days=10)
"""By how much they may differ before."""


def has_offset(text: str) -> bool:
    """Whether a time is told by an offset other than `Z`."""
    return "T" in text.upper().replace(" ", "T") and _OFFSET.search(text) is not None
