"""Serializable table commits on plain object storage.

`Table` is a Delta Lake table that any number of processes may write at once. `append`, `write_dataset`
and `read_table` are the one-call ways in and out, `pandas` those of pandas users. The conditional object
store beneath is public as `atomic_manifest.store`. Names are resolved on first use, so that importing
the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from atomic_manifest.version import VERSION

if TYPE_CHECKING:
    from atomic_manifest import errors, pandas, store
    from atomic_manifest.commit.conflicts import Conflict, ConflictKind
    from atomic_manifest.commit.messages import Budget
    from atomic_manifest.commit.result import CommitResult, Resolution, ResolutionState
    from atomic_manifest.data.write.options import WriteOptions
    from atomic_manifest.dataset import write_dataset
    from atomic_manifest.errors import (
        AtomicManifestError,
        CommitConflict,
        CommitContended,
        CommitOutcomeUnknown,
        TransactionOutOfOrder,
    )
    from atomic_manifest.log.state.history import HistoryRecord
    from atomic_manifest.rerun import RunResult
    from atomic_manifest.table import Table, append, read_table
    from atomic_manifest.transaction import Transaction

__all__ = [
    "AtomicManifestError",
    "Budget",
    "CommitConflict",
    "CommitContended",
    "CommitOutcomeUnknown",
    "CommitResult",
    "Conflict",
    "ConflictKind",
    "HistoryRecord",
    "Resolution",
    "ResolutionState",
    "RunResult",
    "Table",
    "Transaction",
    "TransactionOutOfOrder",
    "WriteOptions",
    "__version__",
    "append",
    "errors",
    "pandas",
    "read_table",
    "store",
    "write_dataset",
]

__version__ = VERSION

_HOMES = {
    "AtomicManifestError": "errors",
    "Budget": "commit.messages",
    "CommitConflict": "errors",
    "CommitContended": "errors",
    "CommitOutcomeUnknown": "errors",
    "CommitResult": "commit.result",
    "Conflict": "commit.conflicts",
    "ConflictKind": "commit.conflicts",
    "HistoryRecord": "log.state.history",
    "Resolution": "commit.result",
    "ResolutionState": "commit.result",
    "RunResult": "rerun",
    "Table": "table",
    "Transaction": "transaction",
    "TransactionOutOfOrder": "errors",
    "WriteOptions": "data.write.options",
    "append": "table",
    "read_table": "table",
    "write_dataset": "dataset",
}


_MODULES = frozenset({"errors", "pandas", "store"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
