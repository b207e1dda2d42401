"""Stores around stores: one counts the requests of its driver, one makes them fail.

For tests of code that is given an `ObjectStore`; tests of a driver's own users wrap the driver, in
`CountingDriver` and `FaultyDriver`.
"""

from atomic_manifest.store.driver import Driver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing.drivers import CountingDriver, Request
from atomic_manifest.testing.faulty import Faults, FaultyDriver


class _Around(ObjectStore):
    def __init__(self, store: ObjectStore, driver: Driver) -> None:
        super().__init__(
            driver,
            env=store.env,
            retry=store.retry,
            multipart_threshold=store.multipart_threshold,
            capabilities=store.given_capabilities,
        )


class CountingStore(_Around):
    """The store of another one's objects that records each request of the driver.

    Args:
        store: The other; its own requests are not recorded.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._counting = CountingDriver(store.driver)
        super().__init__(store, self._counting)

    @property
    def requests(self) -> tuple[Request, ...]:
        """See `CountingDriver.requests`."""
        return self._counting.requests

    def count(self, method: str) -> int:
        """See `CountingDriver.count`."""
        return self._counting.count(method)

    def clear(self) -> None:
        """See `CountingDriver.clear`."""
        self._counting.clear()


class FaultyStore(_Around):
    """The store of another one's objects some of whose requests fail.

    Args:
        store: The other; its own requests do not fail.
        faults: See `FaultyDriver`; `seeded_faults` makes them of a seed.
    """

    def __init__(self, store: ObjectStore, faults: Faults) -> None:
        super().__init__(store, FaultyDriver(store.driver, faults))
