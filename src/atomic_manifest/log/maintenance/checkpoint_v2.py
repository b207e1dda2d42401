"""Checkpoints of the V2 kind: a small top-level file, and the files of the table in sidecars.

Invariants: all names are unique, so nobody overwrites anything, and what a failed attempt leaves behind
is never looked at. A sidecar of the last checkpoint none of whose files was touched since is named
again instead of being written again, so a checkpoint costs what was changed; small ones are merged into
the new ones, so there are never many. Tombstones have sidecars of their own.

Error semantics: those of `checkpoint_writer`.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from typing import Any

import msgspec
import pyarrow as pa

from atomic_manifest.errors import AlreadyExists
from atomic_manifest.log.actions import Action
from atomic_manifest.log.checkpoint.file_rows import FileRows, Totals, counted
from atomic_manifest.log.checkpoint.file_writer import WrittenFile, write_file
from atomic_manifest.log.checkpoint.order import ROWS_PER_GROUP
from atomic_manifest.log.checkpoint.reader import Checkpoint, sidecar_path, verify
from atomic_manifest.log.checkpoint.schema import (
    SIDECAR,
    V2,
    CheckpointMetadata,
    head_actions,
    rows_of,
    schema,
)
from atomic_manifest.log.columns import without
from atomic_manifest.log.entry import LOG_FOLDER, encode
from atomic_manifest.log.folder.hint import Hint, SidecarFile, V2Hint, move_hint
from atomic_manifest.log.folder.segment import SIDECAR_FOLDER
from atomic_manifest.log.pruning.row_group import RowGroup
from atomic_manifest.log.state.snapshot import Snapshot
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.object_store import ObjectStore

GROUPS_PER_SIDECAR = 8
"""Row groups that a sidecar has at most."""

_KEPT_ROWS = GROUPS_PER_SIDECAR * ROWS_PER_GROUP // 2  # from this size on a sidecar is not merged
_COUNTED = ("path", "deletion_vector", "size")
_EMBEDDED = 30  # actions, and sidecars, that a hint holds at most, as of Spark's
_ALIAS_EVERY = 1000  # versions


def write_v2(store: ObjectStore, snapshot: Snapshot, rows: FileRows) -> Totals | None:
    """Write a V2 checkpoint of a snapshot's version, and point the hint to it.

    Returns:
        What is in it; None if the snapshot was read from one of its version.
    """
    base, version = rows.base, snapshot.version
    if base is not None and base.version == version:
        verify(base)
        return None
    totals = Totals()
    kept, groups = ([], []) if base is None else _reusable(base, rows, totals)
    now_ms = int(store.env.now() * 1000)
    written = [
        SidecarFile(file.path.rpartition("/")[2], file.size, now_ms)
        for file in _write_sidecars(store, rows, groups, totals)
    ]
    sidecars = [*kept, *written]
    actions = [
        ("checkpointMetadata", CheckpointMetadata(version, _tags(sidecars, totals))),
        *head_actions(
            snapshot.protocol,
            snapshot.metadata,
            snapshot.transactions,
            snapshot.domains,
            sidecars,
        ),
    ]
    top = _write_top(store, version, actions, rows, alias=_alias_due(base, version))
    move_hint(store, _hint(snapshot, top, sidecars, totals, now_ms))
    return totals


def _reusable(
    base: Checkpoint, rows: FileRows, totals: Totals
) -> tuple[list[SidecarFile], list[RowGroup]]:
    """The sidecars to name again, whose files are counted, and the groups to write again."""
    groups: dict[str, list[RowGroup]] = {}
    for group in base.row_groups("add"):
        groups.setdefault(group.path, []).append(group)
    named = {sidecar_path(sidecar.path): sidecar for sidecar in base.sidecars}
    mixed = {group.path for group in base.row_groups("remove")}
    candidates: dict[str, Totals] = {}
    for path, parts in groups.items():
        if path in named and path not in mixed:
            found = _untouched(base, path, parts, rows)
            if found is not None:
                candidates[path] = found
    pending = rows.actions.num_rows
    pending += sum(
        group.rows for path in groups if path not in candidates for group in groups[path]
    )
    kept = []
    for path, found in sorted(candidates.items(), key=lambda item: item[1].files):
        if found.files < min(2 * pending, _KEPT_ROWS):
            pending += found.files
        else:
            kept.append(path)
            totals.add(found)
    again = [group for path, parts in groups.items() if path not in kept for group in parts]
    return [named[path] for path in kept], again


def _untouched(
    base: Checkpoint, path: str, groups: list[RowGroup], rows: FileRows
) -> Totals | None:
    """What is in a sidecar that can be named again; None if it cannot."""
    if base.schema_of(path).field("add").type != rows.columns.type:
        return None
    found = Totals()
    for table in base.scan("add", _COUNTED, groups=groups):
        if without(table, rows.actions).num_rows < table.num_rows:
            return None
        found.count(table)
    return found


def _write_sidecars(
    store: ObjectStore, rows: FileRows, groups: list[RowGroup], totals: Totals
) -> Iterator[WrittenFile]:
    def tombstones() -> Iterator[pa.Table]:
        for table in rows.tombstones():
            totals.tombstones += table.num_rows
            yield table

    for kind, tables in (("add", counted(rows.adds(groups), totals)), ("remove", tombstones())):
        for few in _batched(tables):
            path = f"{SIDECAR_FOLDER}/{unique_name(store)}.parquet"
            actions = ((kind, table) for table in few)
            yield write_file(store, path, schema(SIDECAR, rows.columns), None, actions, when=None)


def _batched(tables: Iterable[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """Tables for one sidecar each. Each batch has to be used up before the next."""
    remaining = iter(tables)
    while (first := next(remaining, None)) is not None:
        yield chain([first], islice(remaining, GROUPS_PER_SIDECAR - 1))


def unique_name(store: ObjectStore) -> str:
    """A fresh UUID in its usual form."""
    text = store.env.new_id()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _tags(sidecars: list[SidecarFile], totals: Totals) -> dict[str, str]:
    return {
        "sidecarNumActions": str(totals.files + totals.tombstones),
        "sidecarSizeInBytes": str(sum(sidecar.size_in_bytes for sidecar in sidecars)),
        "numOfAddFiles": str(totals.files),
    }


def _alias_due(base: Checkpoint | None, version: int) -> bool:
    """Whether old readers should find a checkpoint under the name they know, so that they refuse."""
    return base is None or base.version // _ALIAS_EVERY != version // _ALIAS_EVERY


def _write_top(
    store: ObjectStore,
    version: int,
    actions: list[tuple[str, Any]],
    rows: FileRows,
    *,
    alias: bool,
) -> WrittenFile:
    columns = schema(V2, rows.columns)
    head = rows_of(actions, columns)
    prefix = f"{LOG_FOLDER}/{version:020}.checkpoint"
    if alias:
        with suppress(AlreadyExists):
            write_file(store, f"{prefix}.parquet", columns, head, (), when=IfAbsent())
    path = f"{prefix}.{unique_name(store)}.parquet"
    return write_file(store, path, columns, head, (), when=None)


def _hint(
    snapshot: Snapshot,
    top: WrittenFile,
    sidecars: list[SidecarFile],
    totals: Totals,
    now_ms: int,
) -> Hint:
    actions: list[Action] = [
        snapshot.protocol,
        snapshot.metadata,
        *snapshot.transactions,
        *snapshot.domains,
    ]
    small = len(actions) <= _EMBEDDED
    contents = V2Hint(
        top.path.rpartition("/")[2],
        top.size,
        now_ms,
        msgspec.json.Decoder(dict[str, Any]).decode_lines(encode(actions)) if small else None,
        sidecars if len(sidecars) <= _EMBEDDED else None,
    )
    return Hint(
        snapshot.version,
        size=top.rows + totals.files + totals.tombstones,
        size_in_bytes=top.size + sum(sidecar.size_in_bytes for sidecar in sidecars),
        num_of_add_files=totals.files,
        v2_checkpoint=contents,
    )
