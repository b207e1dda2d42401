"""What every writing operation carries into its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from atomic_manifest.log.actions import Action, Add, Txn


@dataclass(frozen=True, slots=True)
class Staged:
    """Files uploaded for one logical commit, and how the commit is to be recorded.

    Attributes:
        commit_id: Names the logical commit over all attempts.
        unix_ms: Wall clock when it began, for the stamps of its actions.
        adds: The uploaded files.
        rows: Rows in them.
        txn: (application id, version) for idempotent writes.
        user_info: The user's own `commitInfo` fields.
        schema: What the files were written with, if columns that the table lacks are to be added to it.
    """

    commit_id: str
    unix_ms: int
    adds: Sequence[Add] = ()
    rows: int = 0
    txn: tuple[str, int] | None = None
    user_info: Mapping[str, Any] = field(default_factory=dict)
    schema: pa.Schema | None = None

    @property
    def txn_actions(self) -> tuple[Action, ...]:
        """The `txn` action to commit along, if any."""
        if self.txn is None:
            return ()
        app_id, version = self.txn
        return (Txn(app_id=app_id, version=version, last_updated=self.unix_ms),)
