"""Names of columns, which Delta keeps in their case and compares without regard to it.

So a file, a partition value or a user may say `ID` of a column `id`. One that is said exactly is meant,
whatever else there is.
"""

from collections.abc import Iterable


def matches(name: str, names: Iterable[str]) -> list[str]:
    """Which of `names` may be meant by `name`: itself, or else those that differ by case alone."""
    names = list(names)
    if name in names:
        return [name]
    lower = name.lower()
    return [each for each in names if each.lower() == lower]
