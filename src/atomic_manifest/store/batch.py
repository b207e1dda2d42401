"""Many objects that nobody relies on before all of them are written.

A driver for which it is dear to make each write durable by itself offers `deferring()`: another driver
over the same root, and a function. What was written through that driver survives a crash of the machine
once the function has returned; until then an object may be gone after a crash, but never half there. A
service over the network has nothing to defer, and a driver around a driver need not offer it.

Error semantics: what cannot be made durable raises `StoreError`, and then nothing that the batch wrote
may be relied on.
"""

from collections.abc import Callable

from atomic_manifest.store.object_store import ObjectStore


def batched(store: ObjectStore) -> tuple[ObjectStore, Callable[[], None]]:
    """A store over the same root for the writes of one batch, and what makes them durable.

    Args:
        store: Any.

    Returns:
        The store to write through, and a function to call before anybody relies on what was written.
    """
    deferring = getattr(store.driver, "deferring", None)
    if deferring is None:
        return store, _nothing
    driver, settle = deferring()
    return store.over(driver), settle


def _nothing() -> None:
    """Every write was durable when it returned."""
