"""Repeats reads that came damaged, before anybody concludes anything from them.

A read may come cut off or with a bit flipped although the object is sound, and a writer that is not atomic
shows an object before all of it is there. So bytes that cannot be what somebody wrote are asked for
again, a bounded number of times with a pause before each, and only then believed. Bytes that are whole,
and still nothing that is read here, are believed once they came twice.
"""

from collections.abc import Callable
from typing import TypeVar

from atomic_manifest.env import Env
from atomic_manifest.errors import CorruptLog
from atomic_manifest.store.object_store import ObjectStore

_T = TypeVar("_T")

_PAUSES = (0.005, 0.02, 0.05, 0.1, 0.2)
"""Seconds before each further read."""

READS = 1 + len(_PAUSES)
"""How often an object is read at most, where an error is the alternative."""

SHORTCUT_READS = 3
"""How often it is read at most where there is another way that leads to the same."""


def read_decoded(
    store: ObjectStore,
    path: str,
    decode: Callable[[bytes], _T | None],
    *,
    reads: int = READS,
) -> _T | None:
    """What `decode` makes of an object, which is read again as long as that is nothing.

    Args:
        store: Rooted at the table.
        path: The object.
        decode: Gives None, or raises `CorruptLog`, for damage.
        reads: How often to read at most.

    Returns:
        None if `decode` gave nothing else.

    Raises:
        NotFound: There is no such object.
        CorruptLog: As `decode` raised it last.
    """
    before: bytes | None = None
    number = 1
    while True:
        data = store.get(path).data
        try:
            found = decode(data)
        except CorruptLog as error:
            if number >= reads or (not error.damaged and data == before):
                raise
        else:
            if found is not None or number >= reads:
                return found
        before = data
        pause_before(store.env, number)
        number += 1


def pause_before(env: Env, again: int) -> None:
    """Wait before reading once more.

    Args:
        env: Sleeps.
        again: Which repetition it is, from 1 to `READS - 1`.
    """
    env.sleep(_PAUSES[again - 1])
