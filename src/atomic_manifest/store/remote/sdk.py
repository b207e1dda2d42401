"""Calls obstore, and gives its failures as values.

Its exceptions hold addresses and bodies. A failure that is a value leaves nothing of them behind: an
error raised in a handler, or within a `with`, would keep the exception as its `__context__`, and show
its text wherever the traceback is printed.

obstore panics where it takes for impossible what it is given, and a panic is no `Exception`, so that
callers' own handlers let it through. Here it is a failure like others, which proves nothing.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from obstore.exceptions import BaseError

from atomic_manifest.store.failures import Failure, read_failure

_T = TypeVar("_T")

_ERRORS = (BaseError, OSError, NotImplementedError, ValueError)
"""Every `Exception` that obstore raises."""


def tried(ask: Callable[[], _T]) -> _T | Failure:
    """What the SDK gives, or what is known of its failure."""
    try:
        return ask()
    except BaseException as error:
        if not _is_of_sdk(error):
            raise
        return read_failure(error)


async def tried_async(ask: Callable[[], Awaitable[_T]]) -> _T | Failure:
    """The same of a coroutine."""
    try:
        return await ask()
    except BaseException as error:
        if not _is_of_sdk(error):
            raise
        return read_failure(error)


def _is_of_sdk(error: BaseException) -> bool:
    return isinstance(error, _ERRORS) or read_failure(error).is_panic
