"""Listings that go on where they broke off, and the folders that they show.

A listing is an iterator of the driver's, so its loop is written twice, blocking and not; what is to be
done after an error is decided here, once.
"""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.driver import Driver, ObjectMeta
from atomic_manifest.store.keys import folder
from atomic_manifest.store.policy.calls import Pause
from atomic_manifest.store.policy.pacing import Pacer, Policy

if TYPE_CHECKING:
    from atomic_manifest.env import AsyncEnv
    from atomic_manifest.store.async_driver import AsyncDriver

_LAST = "\U0010ffff"
"""No path of an object goes on with a greater character."""

_PAGE = 1000
"""Objects below one folder after which a new listing costs less than reading on."""


class Progress:
    """How far a listing has come.

    Args:
        policy: The store's.
        start_after: Where it begins.

    Attributes:
        start_after: Where it goes on: behind the last object given.
    """

    def __init__(self, policy: Policy, start_after: str | None) -> None:
        self.start_after = start_after
        self._policy = policy
        self._pacer: Pacer | None = None

    def given(self, meta: ObjectMeta) -> None:
        """Note an object. It renews the budget."""
        self.start_after, self._pacer = meta.path, None

    def broke_off(self, error: StoreUnavailable) -> Pause:
        """Say how long to wait before going on. Raises `error` if the budget has ended."""
        self._pacer = self._pacer or self._policy.pacer()
        pause = self._pacer.pause()
        if pause is None:
            raise error
        return pause


class Folders:
    """Reads immediate sub folders off the objects of a listing.

    Args:
        prefix: The folder; empty for the root.
    """

    def __init__(self, prefix: str) -> None:
        self._below = folder(prefix)
        self._current = ""
        self._objects = 0

    def take(self, path: str) -> str | None:
        """Return the sub folder that an object is the first of."""
        name, slash, _ = path[len(self._below) :].partition("/")
        if not slash:
            return None
        found = self._below + name
        if found == self._current:
            self._objects += 1
            return None
        self._current, self._objects = found, 1
        return found

    def skip(self) -> str | None:
        """Return where to go on if this sub folder is large: behind all of it."""
        if self._objects < _PAGE:
            return None
        self._objects = 0
        return f"{self._current}/{_LAST}"


def objects(
    driver: Driver, policy: Policy, prefix: str, start_after: str | None
) -> Iterator[ObjectMeta]:
    """List on a driver, with retries; see `ObjectStore.list`."""
    progress = Progress(policy, start_after)
    while True:
        try:
            for meta in driver.list(prefix, start_after=progress.start_after):
                progress.given(meta)
                yield meta
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return
        policy.env.sleep(pause.seconds)


async def objects_async(
    driver: "AsyncDriver", policy: Policy, env: "AsyncEnv", prefix: str, start_after: str | None
) -> AsyncIterator[ObjectMeta]:
    """List on an asynchronous driver, with retries; see `ObjectStore.list`."""
    progress = Progress(policy, start_after)
    while True:
        try:
            async for meta in driver.list(prefix, start_after=progress.start_after):
                progress.given(meta)
                yield meta
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return
        await env.sleep_async(pause.seconds)


def folders(driver: Driver, policy: Policy, prefix: str) -> Iterator[str]:
    """List sub folders on a driver; see `ObjectStore.list_dirs`."""
    found, start_after = Folders(prefix), None
    while True:
        for meta in objects(driver, policy, prefix, start_after):
            name = found.take(meta.path)
            if name is not None:
                yield name
            start_after = found.skip()
            if start_after is not None:
                break
        else:
            return


async def folders_async(
    driver: "AsyncDriver", policy: Policy, env: "AsyncEnv", prefix: str
) -> AsyncIterator[str]:
    """List sub folders on an asynchronous driver; see `ObjectStore.list_dirs`."""
    found, start_after = Folders(prefix), None
    while True:
        async for meta in objects_async(driver, policy, env, prefix, start_after):
            name = found.take(meta.path)
            if name is not None:
                yield name
            start_after = found.skip()
            if start_after is not None:
                break
        else:
            return
