"""Which files a predicate concerns, by what the log says of them. Pure: no file is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from atomic_manifest.log.pruning.predicate import FileFacts, Predicate, may_match, must_match
from atomic_manifest.log.pruning.pruner import Pruner


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of `Snapshot.files()`.

    Attributes:
        whole: Files of which every row matches.
        partly: Files of which some rows may match. No row of any other file does.
    """

    whole: pa.Table
    partly: pa.Table


class _Statistics(msgspec.Struct, rename="camel"):
    num_records: int


def select(
    files: pa.Table, predicate: Predicate, types: Mapping[str, str], pruner: Pruner | None = None
) -> Selection:
    """Sort files by what a predicate means for them.

    Args:
        files: Rows of `Snapshot.files()`.
        predicate: Which rows.
        types: Delta's names of types by dotted column (`type_names`).
        pruner: Of the same predicate, to spare looking at most files one by one; None to look at all.
    """
    whole: list[bool] = []
    partly: list[bool] = []
    for batch in files.to_batches():
        certain, unsure = _judged(batch, pruner)
        whole += certain.to_pylist()
        partly += [False] * batch.num_rows
        rows = pc.indices_nonzero(unsure)
        start = len(whole) - batch.num_rows
        for row, facts in zip(rows.to_pylist(), _facts(batch.take(rows), types), strict=True):
            whole[start + row] = all_match = must_match(predicate, facts)
            partly[start + row] = not all_match and may_match(predicate, facts)
    return Selection(
        files.filter(pa.array(whole, pa.bool_())), files.filter(pa.array(partly, pa.bool_()))
    )


def _judged(files: pa.RecordBatch, pruner: Pruner | None) -> tuple[pa.Array, pa.Array]:
    """Of which files every row matches for certain, and which have to be looked at.

    What a pruner says of many files at once is never more than what there is to say of each.
    """
    if pruner is None:
        return pa.repeat(False, len(files)), pa.repeat(True, len(files))  # noqa: FBT003 - values
    found = pruner.outcomes(files["partition_values"], files["stats"])
    certain = pc.invert(pc.or_(found.null, found.false))
    return certain, pc.and_not(found.true, certain)


def records(files: pa.Table) -> list[int | None]:
    """The number of rows of each file, deleted ones left out; None where statistics do not tell.

    Args:
        files: Rows of `Snapshot.files()`.
    """
    stats, vectors = files["stats"].to_pylist(), files["deletion_vector"].to_pylist()
    return [_records(text, vector) for text, vector in zip(stats, vectors, strict=True)]


def _records(stats: str | None, vector: Mapping[str, Any] | None) -> int | None:
    try:
        rows = msgspec.json.decode(stats or "", type=_Statistics).num_records
    except msgspec.MsgspecError:
        return None
    return rows - (0 if vector is None else vector["cardinality"])


def _facts(files: pa.RecordBatch, types: Mapping[str, str]) -> Iterator[FileFacts]:
    for row in files.select(["partition_values", "stats"]).to_pylist():
        yield FileFacts(dict(row["partition_values"] or ()), row["stats"], types)
