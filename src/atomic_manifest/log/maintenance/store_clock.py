"""Reads the store's own clock: one for all writers, however wrong the clocks of their machines are.

Invariants: a time read here is comparable with `last_modified` of everything in the same store, and is
not in its future. What is removed by age is measured by it alone.

Error semantics: the store's own.
"""

from atomic_manifest.log.folder.segment import modified_ms
from atomic_manifest.store.object_store import ObjectStore

CLOCK_PATH = "_atomic_manifest/clock"
"""The object that is written to see what time the store gives it."""


def store_clock_ms(store: ObjectStore) -> int | None:
    """The time in milliseconds since the Unix epoch, by a PUT and a HEAD; None if the store tells none.

    Args:
        store: Rooted at the table.
    """
    store.put(CLOCK_PATH, b"")
    return modified_ms(store.head(CLOCK_PATH)) or None
