"""Names of files that the same work gives again, when it is done again.

Files of a task are created only where there are none, and one that is there stands for the rows it was
named for: so a task that is repeated, after a failure or at the same time on another machine,
overwrites nothing, and what a failed attempt left is used by the next.

Error semantics: `DataError` for a name that no path can hold.
"""

import re
from dataclasses import dataclass

from atomic_manifest.errors import DataError

_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Task:
    """One of the tasks of a job, each of which writes files of its own.

    A task that is repeated must be given the same rows in the same order, with the same options.

    Attributes:
        job: Never the same for two jobs in a table's life; letters, digits, `.`, `_` and `-`.
        number: Of the task within the job, from 0.
    """

    job: str
    number: int

    def __post_init__(self) -> None:
        if not _JOB.fullmatch(self.job):
            raise DataError(f"a job's name is letters, digits, '.', '_' and '-', got {self.job!r}")
        if self.number < 0:
            raise DataError(f"tasks are numbered from 0, got {self.number}")

    def file_name(self, sequence: int) -> str:
        """The name of the task's n-th file, from 0."""
        return f"part-{self.number:05}-{self.job}-c{sequence:03}.parquet"
