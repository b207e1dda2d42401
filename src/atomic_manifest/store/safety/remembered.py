"""What each service was found to do, remembered as long as the process lives.

Invariants:

* Per endpoint one probe: of several threads that ask at once, one makes it and the others wait.
* What is known of a driver, or was given with a store, is never probed.
* A driver that names no endpoint is remembered by itself alone, since its URL may mean another
  service in another driver.
"""

import threading
from collections.abc import MutableMapping
from weakref import WeakKeyDictionary

from atomic_manifest.forks import lock
from atomic_manifest.store.capabilities import Capabilities
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.safety.endpoint import (
    endpoint_of,
    has_endpoint,
    known_capabilities,
    unwrapped,
)
from atomic_manifest.store.safety.recorded import record, recorded

_guard = lock()
_locks: dict[str, threading.Lock] = {}
_of_endpoints: dict[str, Capabilities] = {}
_of_drivers: MutableMapping[Driver, Capabilities] = WeakKeyDictionary()


def capabilities_of(store: ObjectStore, *, creation_only: bool = False) -> Capabilities:
    """What a store can be trusted with: given, known, remembered, or else probed now.

    Args:
        store: Where a probe would write, below a prefix of its own.
        creation_only: Be content with a reduced probe, which looks at the ways to create an object if
            it is absent up to the first that is safe, or with what one found that is recorded with
            the table at the store's root.

    Raises:
        StoreError: If a probe is needed and nothing can be written there.
    """
    known = known_of(store)
    if known is not None:
        return known
    with _lock(endpoint_of(store.driver)):
        found = _remembered(store.driver)
        if found is None or (found.is_reduced and not creation_only):
            from atomic_manifest.store.probe import probe, probe_creation  # noqa: PLC0415 - rare

            if creation_only:
                found = recorded(store)
                if found is None:
                    found = probe_creation(store)
                    record(store, found)
            else:
                found = probe(store)
            remember(store, found)
        store.order.learn(found.list_order)
        return found


def known_of(store: ObjectStore) -> Capabilities | None:
    """What is known without a request: given with the store, or known of its driver."""
    return store.given_capabilities or known_capabilities(store.driver)


def remember(store: ObjectStore, found: Capabilities) -> None:
    """Use these capabilities for the store's service from now on, without a probe."""
    if has_endpoint(store.driver):
        _of_endpoints[endpoint_of(store.driver)] = found
    else:
        _of_drivers[unwrapped(store.driver)] = found


def forget() -> None:
    """Forget everything, so that the next one to ask probes."""
    _of_endpoints.clear()
    _of_drivers.clear()


def _remembered(driver: Driver) -> Capabilities | None:
    if has_endpoint(driver):
        return _of_endpoints.get(endpoint_of(driver))
    return _of_drivers.get(unwrapped(driver))


def _lock(endpoint: str) -> threading.Lock:
    with _guard:
        return _locks.setdefault(endpoint, lock())
