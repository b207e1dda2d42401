"""Many objects that nobody relies on before all of them are written.

A driver for which it is dear to make each write durable by itself offers `deferring()`: another driver
over the same root, and a function. What was written through that driver survives a crash of the machine
once the function has returned; until then an object may be gone after a crash, or half there, save those
that were written on a condition: they are whole. A service over the network has nothing to defer, and a
driver around a driver need not offer it.

Error semantics: what cannot be made durable raises `StoreError`, and then nothing that the batch wrote
may be relied on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from atomic_manifest.store.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Batch:
    """The writes of one batch.

    Attributes:
        store: To write through.
        settle: To call before anybody relies on what was written.
        waits: Whether a write takes its time, for a network or a disk.
    """

    store: ObjectStore
    settle: Callable[[], None]
    waits: bool


def batched(store: ObjectStore) -> Batch:
    """A batch of writes below the root of a store."""
    deferring = getattr(store.driver, "deferring", None)
    if deferring is None:
        return Batch(store, _nothing, waits=True)
    driver, settle = deferring()
    return Batch(store.over(driver), settle, waits=False)


def _nothing() -> None:
    """Every write was durable when it returned."""
