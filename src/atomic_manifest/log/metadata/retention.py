"""Reads durations as table properties spell them: `interval 1 week`, `interval 1 day 12 hours`.

A log may say what is no duration, such as `interval 1 month`. That stops neither readers nor writers:
everything is kept, and maintenance logs a warning (`unreadable`). New tables are refused with it (`check`).
"""

import re
from collections.abc import Iterator, Mapping

from atomic_manifest.errors import DataError

DELETED_FILES = "delta.deletedFileRetentionDuration"
"""The property that says how long a tombstone, and the file it names, is kept."""

LOG = "delta.logRetentionDuration"
"""The property that says how long a version stays reachable."""

_WEEK_MS = 7 * 24 * 60 * 60 * 1000
_MONTH_MS = 30 * 24 * 60 * 60 * 1000
_LONGEST_MS = 2**62  # what can still be taken from a time
_UNIT_MICROSECONDS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}
_TERM = re.compile(r"([0-9]{1,18})\s+([a-z]+?)s?(?:\s+|$)")


def deleted_file_retention_ms(configuration: Mapping[str, str]) -> int:
    """How long tombstones are kept, in milliseconds; one week unless the table says otherwise."""
    return _retention_ms(configuration, DELETED_FILES, _WEEK_MS)


def log_retention_ms(configuration: Mapping[str, str]) -> int:
    """How long versions stay reachable, in milliseconds; 30 days unless the table says otherwise."""
    return _retention_ms(configuration, LOG, _MONTH_MS)


def _retention_ms(configuration: Mapping[str, str], name: str, default: int) -> int:
    text = configuration.get(name)
    if text is None:
        return default
    try:
        return interval_ms(text, name)
    except DataError:
        return _LONGEST_MS


def unreadable(configuration: Mapping[str, str]) -> Iterator[DataError]:
    """What is wrong with the properties that are no durations."""
    for name in (LOG, DELETED_FILES):
        try:
            check(configuration, name)
        except DataError as error:
            yield error


def check(configuration: Mapping[str, str], *names: str) -> None:
    """Check that properties are durations, where they are there.

    Args:
        configuration: Of a table.
        names: Which properties; none for all that are read here.

    Raises:
        DataError: See `interval_ms`.
    """
    for name in names or (LOG, DELETED_FILES):
        if name in configuration:
            interval_ms(configuration[name], name)


def interval_ms(text: str, name: str) -> int:
    """Milliseconds of a duration in Spark's words; months and years have no fixed length.

    Raises:
        DataError: Not such a duration; `name`, the property's, is in the message.
    """
    rest = text.strip().lower().removeprefix("interval").strip()
    microseconds = 0
    position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None or term[2] not in _UNIT_MICROSECONDS:
            break
        microseconds += int(term[1]) * _UNIT_MICROSECONDS[term[2]]
        position = term.end()
    if not rest or position < len(rest):
        raise DataError(f"{name}: {text!r} is not a duration such as 'interval 7 days'")
    return min(microseconds // 1000, _LONGEST_MS)
