"""Stores fit for tables: of several writers of one log entry exactly one must win.

Invariants: a store that is not known to be safe is probed before the first create-if-absent through
it, once per service and process, unless an earlier process recorded with the table what it found
(`safety.recorded`); reading never probes. Where no create strategy is safe nothing is
ever created, and `check_safe` says so before anything else is written.
"""

from collections.abc import Mapping

from atomic_manifest.errors import UnsupportedByStore
from atomic_manifest.forks import lock
from atomic_manifest.store.capabilities import (
    STRATEGY_CHECKS,
    Capabilities,
    CreateStrategy,
    Finding,
    Support,
)
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.store.driver import Data, Driver, WriteOutcome
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.store.safety.creating import creating_by
from atomic_manifest.store.safety.remembered import capabilities_of, known_of


def for_tables(store: ObjectStore) -> ObjectStore:
    """The store, with creates that only one writer can win; itself if it is known to have them."""
    if isinstance(store.driver, SafeCreates):
        return store
    known = known_of(store)
    if known is not None and known.create_strategy is CreateStrategy.PUT:
        return store
    return store.over(SafeCreates(store))


def check_safe(store: ObjectStore) -> None:
    """Refuse a store that no table may be written on.

    Raises:
        UnsupportedByStore: It names the checks that failed.
        StoreError: If a probe is needed and nothing can be written there.
    """
    if isinstance(store.driver, SafeCreates):
        store.driver.decide()


class SafeCreates(PassingDriver):
    """Creates by the cheapest strategy that is safe, which is found when first needed.

    Args:
        store: Where; its driver does the work.
    """

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store.driver)
        self._store = store
        self._lock = lock()
        self._creating: Driver | None = None

    def decide(self) -> Driver:
        """The driver that creates safely.

        Raises:
            UnsupportedByStore: If there is no safe strategy.
        """
        if self._creating is None:
            found = capabilities_of(self._store, creation_only=True)
            if found.create_strategy is None:
                raise unsafe(self._store, found)
            with self._lock:
                if self._creating is None:
                    self._creating = creating_by(
                        found.create_strategy, self.inner, env=self._store.env
                    )
        return self._creating

    def create(self, path: str, data: Data, metadata: Mapping[str, str] | None) -> WriteOutcome:
        """See `PassingDriver.create`."""
        return self.decide().put(path, data, when=IfAbsent(), metadata=metadata)


def unsafe(store: ObjectStore, found: Capabilities) -> UnsupportedByStore:
    """The error of a store without a safe create strategy.

    It keeps the name of the first failed check as `check`, and all findings as `capabilities`.
    """
    failed = {
        check: finding
        for check in STRATEGY_CHECKS.values()
        if (finding := _finding(found, check)).support is not Support.UNTESTED
    }
    told = "; ".join(f"{check}: {finding}" for check, finding in failed.items())
    return UnsupportedByStore(
        f"{store.url}: {found.endpoint} is not safe for tables: it has no way to create an object that "
        f"only one of several writers can win ({told}). Use a store that does (`atomic-manifest probe"
        " URL` tells, docs/stores.md lists some). If no two processes ever write at once,"
        " storage_options={'conditional_put': 'assume'} takes the risk",
        path="",
        check=next(iter(failed), ""),
        capabilities=found,
    )


def _finding(found: Capabilities, check: str) -> Finding:
    finding: Finding = getattr(found, check)
    return finding
