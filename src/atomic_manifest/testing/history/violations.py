"""What a checker finds wrong."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Which promise was broken."""

    TWICE = "committed twice"
    ABSENT = "acknowledged but absent"
    PRESENT = "failed but present"
    UNEXPLAINED = "in the log for no reason"
    GAP = "versions with a gap"
    REAL_TIME = "real-time order"
    BACKWARDS = "a handle went back"
    STALE = "stale read"
    READ = "read of another state"
    SNAPSHOT = "read of no version"
    TXN = "transaction id"
    RESOLUTION = "resolved wrongly"
    CONTENTS = "contents"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise.

    Attributes:
        kind: Which.
        text: What was seen.
        operations: Names of the operations concerned, the one that was wronged first.
    """

    kind: Kind
    text: str
    operations: tuple[str, ...] = ()

    def __str__(self) -> str:
        concerned = f" [{', '.join(self.operations)}]" if self.operations else ""
        return f"{self.kind.value}: {self.text}{concerned}"
