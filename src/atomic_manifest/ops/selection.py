"""Which files a predicate concerns, by what the log says of them. Pure: no file is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa

from atomic_manifest.log.predicate import FileFacts, Predicate, may_match, must_match


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


def select(files: pa.Table, predicate: Predicate, types: Mapping[str, str]) -> Selection:
    """Sort files by what a predicate means for them.

    Args:
        files: Rows of `Snapshot.files()`.
        predicate: Which rows.
        types: Delta's names of types by dotted column (`type_names`).
    """
    whole, partly = [], []
    for facts in _facts(files, types):
        all_match = must_match(predicate, facts)
        whole.append(all_match)
        partly.append(not all_match and may_match(predicate, facts))
    return Selection(
        files.filter(pa.array(whole, pa.bool_())), files.filter(pa.array(partly, pa.bool_()))
    )


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


def _facts(files: pa.Table, types: Mapping[str, str]) -> Iterator[FileFacts]:
    for batch in files.select(["partition_values", "stats"]).to_batches():
        for row in batch.to_pylist():
            yield FileFacts(dict(row["partition_values"] or ()), row["stats"], types)
