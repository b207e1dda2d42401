"""What the probe of a table's service found, kept with the table, so that other processes need none.

Invariants: a record counts for the service it was made at and for `DAYS`, and only if it says that
creating is safe. It is no part of the table: readers of tables skip its folder, and whoever does not
find it, or cannot read it, probes.

Error semantics: none of its own; a record that cannot be read or written is as good as none.
"""

import json
from contextlib import suppress

from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.store.capabilities import REDUCED, Capabilities
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.safety.endpoint import endpoint_of, has_endpoint

RECORD_PATH = "_atomic_manifest/store.json"
"""Relative to the table's root."""

DAYS = 30
"""Days for which a record counts: services are upgraded, and tables moved behind the same name."""

_DAY_SECONDS = 24 * 60 * 60


def recorded(store: ObjectStore) -> Capabilities | None:
    """What an earlier process found of the service, if it counts still."""
    if not has_endpoint(store.driver):
        return None
    with suppress(AtomicManifestError, ValueError, TypeError, KeyError):
        record = json.loads(store.get(RECORD_PATH).data)
        found = Capabilities.from_json(json.dumps(record["found"]))
        age = store.env.now() - float(record["probed_at"])
        counts = 0 <= age <= DAYS * _DAY_SECONDS and found.endpoint == endpoint_of(store.driver)
        return found if counts and found.safe_for_tables else None
    return None


def record(store: ObjectStore, found: Capabilities) -> None:
    """Keep what a probe found, if it is safe."""
    if not (has_endpoint(store.driver) and found.safe_for_tables and found.source in _PROBES):
        return
    text = {"probed_at": store.env.now(), "found": json.loads(found.to_json())}
    with suppress(AtomicManifestError):
        store.put(RECORD_PATH, json.dumps(text, indent=2).encode())


_PROBES = ("probe", REDUCED)
