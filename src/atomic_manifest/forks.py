"""What has to be made anew in a process that was forked: its locks may be held by threads that it lacks.

A fork copies one thread. A lock that another one held at that moment stays locked in the child for ever,
and what such a thread was about to finish stays unfinished. So every lock that outlives a call is made by
`lock` or `reentrant_lock`, and is free in a child; and who keeps more than a lock registers with `renew`.
"""

import os
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any
from weakref import WeakMethod, WeakSet

_locks: "WeakSet[Any]" = WeakSet()
_renewals: list[WeakMethod[Callable[[], None]]] = []
_SWEPT_AT = 1024


def lock() -> threading.Lock:
    """A lock that is free in a forked process."""
    made = threading.Lock()
    _locks.add(made)
    return made


def reentrant_lock() -> Any:
    """A `threading.RLock` that is free in a forked process, unless the thread that forked holds it."""
    made = threading.RLock()
    _locks.add(made)
    return made


def renew(method: Callable[[], None]) -> None:
    """Have a bound method called in every process that is forked from this one.

    As long as its object lives, which must be one that can be referred to weakly.
    """
    if len(_renewals) >= _SWEPT_AT:
        _renewals[:] = [each for each in _renewals if each() is not None]
    _renewals.append(WeakMethod(method))


def _free(held: Any) -> None:
    if not getattr(held, "_is_owned", bool)():
        held._at_fork_reinit()  # noqa: SLF001 - as `threading` and `concurrent.futures` do with theirs


def _free_properties() -> None:
    """Before Python 3.12 a `cached_property` of a class had one lock for all its objects."""
    modules = [module for name, module in sys.modules.items() if name.startswith(__package__)]
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                for attribute in vars(kind).values():
                    if isinstance(attribute, cached_property) and hasattr(attribute, "lock"):
                        attribute.lock = threading.RLock()


def _forked() -> None:
    for held in list(_locks):
        _free(held)
    if sys.version_info < (3, 12):
        _free_properties()
    for each in _renewals:
        method = each()
        if method is not None:
            method()


if hasattr(os, "register_at_fork"):  # Windows knows no fork
    os.register_at_fork(after_in_child=_forked)
