"""Listings in order of path that go on where they broke off, and the folders that they show.

A listing is an iterator of the driver's, so its loop is written twice, blocking and not; what is to be
done after an error is decided here, once.

Some services list in an order of their own (S3's directory buckets, Storj's gateway), and then a
listing that starts behind a key, or that is left early, lacks objects in silence. So nothing is believed
of a service that nobody vouches for: its folders are listed from the beginning and put in order, until
a full page came in order and a listing that started behind a key of it went on as it must. A
service that fails is listed whole from then on, and so is one that is known for it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from atomic_manifest.errors import StoreUnavailable, UnsupportedByStore
from atomic_manifest.store.driver import Driver, ObjectMeta
from atomic_manifest.store.keys import folder, lists_in_order
from atomic_manifest.store.policy.calls import Pause
from atomic_manifest.store.policy.pacing import Pacer, Policy

if TYPE_CHECKING:
    from atomic_manifest.env import AsyncEnv
    from atomic_manifest.store.async_driver import AsyncDriver
    from atomic_manifest.store.capabilities import Finding

_LAST = "\U0010ffff"
"""No path of an object goes on with a greater character."""

_PAGE = 1000
"""Objects in an answer of most services: of one folder, after which a new listing costs less than
reading on; in order, after which the order is believed."""


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
        self._given = ""
        self._policy = policy
        self._pacer: Pacer | None = None

    def is_new(self, meta: ObjectMeta, order: "Order", prefix: str) -> bool:
        """Note an object, which renews the budget; False if a listing would start behind it.

        Raises:
            UnsupportedByStore: If an object that came before ought to have come after this one.
        """
        if meta.path <= (self.start_after or ""):
            if meta.path < self._given:
                raise order.broken(prefix)
            return False
        self.start_after = self._given = meta.path
        self._pacer = None
        return True

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


class Order:
    """What is known of the order in which a store lists. A store and its copies share it.

    Args:
        driver: Of the store.
        finding: What a probe found, if one is known of.

    Attributes:
        is_by_path: Whether objects come by code point of their path, and a listing can start behind any
            path; None as long as nobody knows.
    """

    def __init__(self, driver: object, finding: "Finding | None" = None) -> None:
        self.is_by_path = lists_in_order(driver)
        if finding is not None:
            self.learn(finding)

    def learn(self, finding: "Finding") -> None:
        """Believe what a probe found, unless more is known already."""
        if self.is_by_path is None and finding.is_tested:
            self.is_by_path = finding.is_safe

    def broken(self, prefix: str) -> UnsupportedByStore:
        """Note that a listing is out of order although it was believed; the error of this one."""
        self.is_by_path = False
        return UnsupportedByStore(
            f"{prefix or 'the root'}: the service stopped listing in order of key, so what was given is"
            " not all; from now on it is listed whole and sorted: try again",
            path=prefix,
        )


class Gathered:
    """The beginning of a listing of which the order is not known, or all of it.

    Args:
        order: What is known.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._metas: list[ObjectMeta] = []
        self._ordered = True
        self.is_whole = True

    def take(self, meta: ObjectMeta) -> bool:
        """Note an object; says whether a full page came in order, after which to `check_start`."""
        if self._metas and meta.path <= self._metas[-1].path:
            self._order.is_by_path = self._ordered = False
        self._metas.append(meta)
        known = self._order.is_by_path is not None
        return not known and self._ordered and len(self._metas) == _PAGE

    @property
    def check_start(self) -> str:
        """What a listing is to start behind, for whose first object see `started`."""
        return self._metas[-2].path

    def started(self, first: ObjectMeta | None) -> bool:
        """Say whether the order is to be believed now."""
        expected = first is not None and first.path == self.last
        self._order.is_by_path = expected
        self.is_whole = not expected
        return expected

    @property
    def last(self) -> str:
        """The path of the last object, of a listing in order."""
        return self._metas[-1].path

    def after(self, start_after: str | None) -> Sequence[ObjectMeta]:
        """The objects behind a path, in order, each once."""
        found = {meta.path: meta for meta in self._metas if meta.path > (start_after or "")}
        return [found[path] for path in sorted(found)]


def objects(
    driver: Driver, policy: Policy, order: Order, prefix: str, start_after: str | None
) -> Iterator[ObjectMeta]:
    """List on a driver, with retries; see `ObjectStore.list`."""
    if not order.is_by_path:
        gathered = _gathered(driver, policy, order, prefix)
        yield from gathered.after(start_after)
        if gathered.is_whole:
            return
        start_after = max(gathered.last, start_after or "")
    progress = Progress(policy, start_after)
    while True:
        try:
            for meta in driver.list(prefix, start_after=progress.start_after):
                if progress.is_new(meta, order, prefix):
                    yield meta
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return
        policy.env.sleep(pause.seconds)


def _gathered(driver: Driver, policy: Policy, order: Order, prefix: str) -> Gathered:
    progress = Progress(policy, None)
    while True:
        gathered = Gathered(order)
        try:
            for meta in driver.list(prefix):
                if gathered.take(meta):
                    behind = driver.list(prefix, start_after=gathered.check_start)
                    if gathered.started(next(iter(behind), None)):
                        break
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return gathered
        policy.env.sleep(pause.seconds)


async def objects_async(
    driver: "AsyncDriver",
    policy: Policy,
    env: "AsyncEnv",
    order: Order,
    prefix: str,
    start_after: str | None,
) -> AsyncIterator[ObjectMeta]:
    """List on an asynchronous driver, with retries; see `ObjectStore.list`."""
    if not order.is_by_path:
        gathered = await _gathered_async(driver, policy, env, order, prefix)
        for meta in gathered.after(start_after):
            yield meta
        if gathered.is_whole:
            return
        start_after = max(gathered.last, start_after or "")
    progress = Progress(policy, start_after)
    while True:
        try:
            async for meta in driver.list(prefix, start_after=progress.start_after):
                if progress.is_new(meta, order, prefix):
                    yield meta
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return
        await env.sleep_async(pause.seconds)


async def _gathered_async(
    driver: "AsyncDriver", policy: Policy, env: "AsyncEnv", order: Order, prefix: str
) -> Gathered:
    progress = Progress(policy, None)
    while True:
        gathered = Gathered(order)
        try:
            async for meta in driver.list(prefix):
                if gathered.take(meta):
                    behind = driver.list(prefix, start_after=gathered.check_start)
                    if gathered.started(await anext(aiter(behind), None)):
                        break
        except StoreUnavailable as error:
            pause = progress.broke_off(error)
        else:
            return gathered
        await env.sleep_async(pause.seconds)


def folders(driver: Driver, policy: Policy, order: Order, prefix: str) -> Iterator[str]:
    """List sub folders on a driver; see `ObjectStore.list_dirs`."""
    found, start_after = Folders(prefix), None
    while True:
        for meta in objects(driver, policy, order, prefix, start_after):
            name = found.take(meta.path)
            if name is not None:
                yield name
            start_after = found.skip() if order.is_by_path else None
            if start_after is not None:
                break
        else:
            return


async def folders_async(
    driver: "AsyncDriver", policy: Policy, env: "AsyncEnv", order: Order, prefix: str
) -> AsyncIterator[str]:
    """List sub folders on an asynchronous driver; see `ObjectStore.list_dirs`."""
    found, start_after = Folders(prefix), None
    while True:
        async for meta in objects_async(driver, policy, env, order, prefix, start_after):
            name = found.take(meta.path)
            if name is not None:
                yield name
            start_after = found.skip() if order.is_by_path else None
            if start_after is not None:
                break
        else:
            return
