"""Whether what the writers were told is what the table holds."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.contention.writers import Append
from benchmarks.contents import Contents
from benchmarks.measuring import ROWS


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found; all but the first three should be 0.

    Attributes:
        acknowledged: Appends that returned.
        versions: The table gained.
        unknown_present: Appends that raised "outcome unknown" and are there, as they may be.
        missing: Acknowledged and not there, or not wholly.
        duplicated: Any append that is there more than once.
        refused_present: Appends that raised any other error and are there all the same.
        ids_wrong: Acknowledged commit ids that the log does not name exactly once.
    """

    acknowledged: int
    versions: int
    unknown_present: int
    missing: int
    duplicated: int
    refused_present: int
    ids_wrong: int

    @property
    def holds(self) -> bool:
        """Every acknowledged append exactly once, and nothing that was refused."""
        return not (self.missing or self.duplicated or self.refused_present or self.ids_wrong)

    def problems(self) -> Iterator[str]:
        """What does not hold, in words."""
        for name in ("missing", "duplicated", "refused_present", "ids_wrong"):
            if count := getattr(self, name):
                yield f"{count} {name.replace('_', ' but ')}"


def verify(appends: list[Append], contents: Contents) -> Verification:
    """Compare what the writers were told with what is there."""
    acknowledged = [each for each in appends if not each.error]
    present = [each for each in appends if each.error and contents.rows[each.number]]
    ids = [each.commit_id for each in acknowledged if each.commit_id]
    return Verification(
        acknowledged=len(acknowledged),
        versions=contents.versions,
        unknown_present=sum(1 for each in present if each.unknown),
        missing=sum(1 for each in acknowledged if contents.rows[each.number] < ROWS),
        duplicated=sum(1 for count in contents.rows.values() if count > ROWS),
        refused_present=sum(1 for each in present if not each.unknown),
        ids_wrong=sum(1 for each in ids if contents.commit_ids[each] != 1),
    )
