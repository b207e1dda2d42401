"""The three meanings of `existing_data_behavior` of `pyarrow.dataset.write_dataset`, as plans.

* `error`: append to a table that holds no files; any file there, or any that comes meanwhile, refuses.
* `overwrite_or_ignore`: append, and replace files of the same name in the same partition. Names are
  given by `basename_template` and kept as the tag `BASENAME_TAG`, because a file of a table is never
  overwritten in place.
* `delete_matching`: replace the partitions that are written to; without partitioning, everything, if
  anything is written at all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec
import pyarrow as pa

from atomic_manifest.commit.conflicts import Conflict
from atomic_manifest.commit.intent import Intent, PartitionValues, ReadTable
from atomic_manifest.commit.plan import Plan
from atomic_manifest.errors import DataError
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.ops.append import Append
from atomic_manifest.ops.overwrite import (
    Overwrite,
    partition_of,
    partitions_of,
    replacing_partitions,
)
from atomic_manifest.ops.staged import Staged

ExistingDataBehavior: TypeAlias = Literal["error", "overwrite_or_ignore", "delete_matching"]

BASENAME_TAG = "atomicManifest.basename"


@dataclass(frozen=True, slots=True)
class AppendToEmpty:
    """Append on the condition that the table has no file."""

    staged: Staged

    @property
    def txn(self) -> tuple[str, int] | None:
        """See `Plan.txn`."""
        return self.staged.txn

    @property
    def is_blind(self) -> bool:
        """See `Plan.is_blind`."""
        return False

    def intent(self, snapshot: Snapshot) -> Intent:
        """See `Plan.intent`.

        Raises:
            DataError: The table has files.
        """
        check_empty(snapshot)
        return replace(Append(self.staged).intent(snapshot), reads=ReadTable())

    def survives(self, conflicts: Sequence[Conflict], before: Snapshot, after: Snapshot) -> bool:
        """See `Plan.survives`: planning again finds out whether it is still empty."""
        return Append(self.staged).survives(conflicts, before, after)


def check_empty(snapshot: Snapshot) -> None:
    """What `error` means.

    Raises:
        DataError: The table has files.
    """
    if snapshot.files().num_rows:
        raise DataError(
            "the table is not empty, and existing_data_behavior is 'error'; "
            "'overwrite_or_ignore' and 'delete_matching' would go on"
        )


def plan_of(behavior: ExistingDataBehavior, *, partitioned: bool) -> Callable[[Staged], Plan]:
    """What to make of staged files under a behaviour."""
    match behavior:
        case "error":
            return AppendToEmpty
        case "overwrite_or_ignore":
            return _replacing_names
        case "delete_matching":
            return replacing_partitions if partitioned else _replacing_all


def _replacing_all(staged: Staged) -> Plan:
    return Overwrite(staged) if staged.adds else Append(staged)


def with_basenames(staged: Staged, template: str) -> Staged:
    """Tag each file with the name pyarrow would have given it: `{i}` counts within a partition."""
    counts: Counter[PartitionValues] = Counter()
    adds = []
    for add in staged.adds:
        number = counts[partition_of(add)]
        counts[partition_of(add)] += 1
        name = template.replace("{i}", str(number))
        tags = {**(add.tags or {}), BASENAME_TAG: name}
        adds.append(msgspec.structs.replace(add, tags=tags))
    return replace(staged, adds=tuple(adds))


def _replacing_names(staged: Staged) -> Plan:
    written = {(partition_of(add), (add.tags or {}).get(BASENAME_TAG)) for add in staged.adds}

    def same_name(files: pa.Table) -> pa.Array:
        rows = zip(
            files.column("partition_values").to_pylist(),
            files.column("tags").to_pylist(),
            strict=True,
        )
        return pa.array(
            [
                (frozenset(dict(values or ()).items()), dict(tags or ()).get(BASENAME_TAG))
                in written
                for values, tags in rows
            ],
            pa.bool_(),
        )

    return Overwrite(staged, partitions=partitions_of(staged.adds), replaced=same_name)
