"""Serializability of real runs: processes at work on one table, killed on the way, and the proof.

Workers do random operations through the public API and record what they are about to do and what they are
told (`journal`). Afterwards the log gives the serial order (`log`), a simple model replays it (`model`,
`check`), and every promise that does not hold is a `Violation` naming the operations concerned.

    python -m atomic_manifest.testing.history --seconds 30 --workers 6 --kills 12

The checker is pure, and can judge histories from elsewhere: give `check` a `History` and a `Log`.
"""

from atomic_manifest.testing.history.check import check
from atomic_manifest.testing.history.journal import History
from atomic_manifest.testing.history.log import Log
from atomic_manifest.testing.history.violations import Kind, Violation

__all__ = ["History", "Kind", "Log", "Violation", "check"]
