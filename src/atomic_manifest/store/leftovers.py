"""Remove what writers that were killed have left in a store, where a driver leaves something.

A driver that does so offers `remove_leftovers(first)`, see `local_leftovers`. Services over the network
forget unfinished uploads by rules of their own.
"""

from atomic_manifest.store.object_store import ObjectStore


def remove_leftovers(store: ObjectStore, first: str) -> int:
    """Remove what is left of writes that were given up a day ago or earlier; returns how many files.

    Args:
        store: Where.
        first: A folder that is looked at in any case, however many there are.
    """
    remove = getattr(store.driver, "remove_leftovers", None)
    return 0 if remove is None else int(remove(first))
