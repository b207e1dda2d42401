"""The rows of a checkpoint that are no file's: what a table is but for its files.

Error semantics: what is not as the protocol says raises `ValueError`, `TypeError` or what msgspec raises;
`checkpoint.reader` says whose it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from atomic_manifest.log.actions import DomainMetadata, Metadata, Protocol, Txn
from atomic_manifest.log.entry import decode_rewritten
from atomic_manifest.log.folder.hint import SidecarFile, V2Hint
from atomic_manifest.log.head import Head

HEAD_ACTIONS = ("protocol", "metaData", "txn", "domainMetadata", "sidecar", "checkpointMetadata")
"""The actions that are no file's."""


def from_hint(contents: V2Hint) -> tuple[Head, tuple[SidecarFile, ...]] | None:
    """What the hint holds of a checkpoint, if that is enough to do without its top-level file."""
    if contents.non_file_actions is None or not contents.sidecar_files:
        return None
    try:
        head, _ = from_rows(contents.non_file_actions)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return None
    if head.protocol is None or head.metadata is None:
        return None
    return head, tuple(contents.sidecar_files)


def from_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Head, list[dict[str, Any]]]:
    """The head, and the sidecar actions."""
    protocol = metadata = None
    txns: dict[str, Txn] = {}
    domains: dict[str, DomainMetadata] = {}
    for row in rows:
        if found := row.get("protocol"):
            _check_single(protocol, "protocol")
            protocol = _action(found, Protocol)
        if found := row.get("metaData"):
            _check_single(metadata, "metaData")
            metadata = _action(found, Metadata)
        if found := row.get("txn"):
            txn = msgspec.convert(present(found), Txn)
            txns[txn.app_id] = txn
        if found := row.get("domainMetadata"):
            domain = msgspec.convert(present(found), DomainMetadata)
            if not domain.removed:
                domains[domain.domain] = domain
    sidecars = [row["sidecar"] for row in rows if row.get("sidecar")]
    return Head(protocol, metadata, txns, domains), sidecars


def _check_single(before: Any, name: str) -> None:
    if before is not None:
        raise ValueError(f"more than one `{name}`")


def check_version(rows: Sequence[Mapping[str, Any]], version: int) -> None:
    """Check that a checkpoint that says of which version it is, is of that."""
    for row in rows:
        found = row.get("checkpointMetadata")
        if found and found.get("version") != version:
            raise ValueError(f"it is a checkpoint of version {found.get('version')}")


def _action(row: Mapping[str, Any], kind: type[Any]) -> Any:
    return decode_rewritten(msgspec.json.encode(present(row)), kind)


def present(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an action that are there."""
    return {name: value for name, value in row.items() if value is not None}
