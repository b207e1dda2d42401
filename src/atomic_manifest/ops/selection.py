"""Which files a predicate concerns, by what the log says of them. Pure: no file is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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


def records(stats: str | None) -> int | None:
    """The number of rows that a file's statistics tell, None if they do not."""
    try:
        return msgspec.json.decode(stats or "", type=_Statistics).num_records
    except msgspec.MsgspecError:
        return None


def _facts(files: pa.Table, types: Mapping[str, str]) -> Iterator[FileFacts]:
    for batch in files.select(["partition_values", "stats"]).to_batches():
        for row in batch.to_pylist():
            yield FileFacts(dict(row["partition_values"] or ()), row["stats"], types)
