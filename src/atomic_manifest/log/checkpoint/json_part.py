"""The top-level file of a V2 checkpoint in JSON: one action a line (protocol, "V2 Spec")."""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import msgspec

from atomic_manifest.log.actions import Add, Remove
from atomic_manifest.log.checkpoint.parts import HeldGroup
from atomic_manifest.log.checkpoint.schema import FIELDS, as_structs
from atomic_manifest.log.columns import FILES, TOMBSTONES, from_entries
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.pruning.row_group import RowGroup
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.object_store import ObjectStore


class JsonPart:
    """A JSON file of a checkpoint; read whole. See `checkpoint.parts.ParquetPart`.

    Args:
        store: Rooted at the table.
        meta: The file.
    """

    def __init__(self, store: ObjectStore, meta: ObjectMeta) -> None:
        self.path = meta.path
        self.sealed = False
        self._store = store

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        rows = msgspec.json.Decoder(dict[str, Any]).decode_lines(self._store.get(self.path).data)
        if not any("checkpointMetadata" in row for row in rows):
            raise ValueError("no `checkpointMetadata`")
        return rows

    def forget(self) -> None:
        """Let go of what was read, which came damaged, so that it is read again."""
        self.__dict__.pop("_rows", None)

    def rows_with(self, kinds: Collection[str]) -> Sequence[dict[str, Any]]:
        """The rows that are one of the actions."""
        return [row for row in self._rows if not row.keys().isdisjoint(kinds)]

    def groups(self, kind: str) -> list[RowGroup]:
        """The actions of a kind, as one group."""
        found = [row[kind] for row in self._rows if kind in row]
        if not found:
            return []
        if kind == "add":
            entry = Entry(0, adds=tuple(msgspec.convert(found, list[Add])))
        else:
            entry = Entry(0, removes=tuple(msgspec.convert(found, list[Remove])))
        schema = FILES if kind == "add" else TOMBSTONES
        table = from_entries([entry]).select(schema.names)
        return [HeldGroup(self.path, as_structs(table, FIELDS[kind]))]
