"""Remove temporary files of writers that were killed.

Invariants: only files with names of the driver's own go, that nothing was done to for a day by the clock of
the file system, and that no upload holds. What a call looks at is bounded; of more folders than that each
call takes others, so that all have their turn.

Error semantics: what cannot be looked at or removed stays, for the next call.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from atomic_manifest.env import Env
from atomic_manifest.store.local_files import OWN_NAMES, is_held, temporary_name

_DAY_SECONDS = 24 * 60 * 60
_FOLDERS = 1000
_NAMES = 100_000
_TEMPORARY = re.compile(re.escape(OWN_NAMES) + r"[0-9a-f]{32}\.tmp")


def remove_leftovers(root: Path, first: str, env: Env) -> int:
    """Remove old temporary files below a folder; returns how many.

    Args:
        root: The folder.
        first: A folder in it that is looked at in every call, as is `root` itself.
        env: Chance, to choose among many folders, and an id.
    """
    try:
        now = _clock(root / first, env)
    except OSError:
        return 0
    removed = 0
    for place in islice(_found(root, first, env), _NAMES):
        with suppress(OSError):
            if _is_old(place, now) and not is_held(place):
                os.unlink(place)  # noqa: PTH108 - a text, as it was found
                removed += 1
    return removed


def _clock(folder: Path, env: Env) -> float:
    """Now, by the clock of the file system."""
    place = folder / temporary_name(env.new_id())
    handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    try:
        return os.fstat(handle).st_ctime
    finally:
        os.close(handle)
        os.unlink(place)  # noqa: PTH108 - as above


def _found(root: Path, first: str, env: Env) -> Iterator[str]:
    """Temporary files in some of the folders."""
    waiting, names = [str(root), str(root / first)], 0
    seen: set[str] = set()
    for _ in range(_FOLDERS):
        if not waiting or names > _NAMES:
            return
        # The two first, then any.
        turn = 0 if len(seen) <= 1 else int(env.random() * len(waiting))
        folder = waiting.pop(turn)
        if folder in seen:
            continue
        seen.add(folder)
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in islice(entries, _NAMES):
                names += 1
                if _TEMPORARY.fullmatch(entry.name):
                    yield entry.path
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _is_old(place: str, now: float) -> bool:
    found = os.lstat(place)
    return stat.S_ISREG(found.st_mode) and now - found.st_ctime > _DAY_SECONDS
