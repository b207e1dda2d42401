"""What the probe of a table's service found, kept with the table, so that other processes need none.

Invariants: a record counts for the service it was made at and for `DAYS`, and only if it says that
creating is safe. It is no part of the table: readers of tables skip its folder, and whoever does not
find it, or cannot read it, probes.

Error semantics: none of its own; a record that cannot be read or written is as good as none.
"""

from contextlib import suppress
from dataclasses import dataclass

from atomic_manifest.errors import AtomicManifestError
from atomic_manifest.store.capabilities import Capabilities
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.safety.endpoint import endpoint_of, has_endpoint

RECORD_PATH = "_atomic_manifest/store.json"
"""Relative to the table's root."""

DAYS = 30
"""Days for which a record counts: services are upgraded, and tables moved behind the same name."""

_DAY_SECONDS = 24 * 60 * 60
_BYTES_AT_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class Record:
    """What the object at `RECORD_PATH` holds, as JSON.

    Attributes:
        probed_at: When, in seconds since 1970-01-01 UTC.
        found: What was found.
    """

    probed_at: float
    found: Capabilities


def recorded(store: ObjectStore) -> Capabilities | None:
    """What an earlier process found of the service, if it counts still."""
    import msgspec  # noqa: PLC0415 - only where a probe would be needed

    if not has_endpoint(store.driver):
        return None
    # Anybody may have put anything there: whatever reading it raises says that there is no record.
    with suppress(Exception):
        text = store.get(RECORD_PATH, range=(0, _BYTES_AT_MOST)).data
        record = msgspec.json.decode(text, type=Record)
        age = store.env.now() - record.probed_at
        same = record.found.endpoint == endpoint_of(store.driver)
        if same and 0 <= age <= DAYS * _DAY_SECONDS and record.found.safe_for_tables:
            return record.found
    return None


def record(store: ObjectStore, found: Capabilities) -> None:
    """Keep what a probe found, if it is safe."""
    import msgspec  # noqa: PLC0415 - only after a probe

    if not (has_endpoint(store.driver) and found.safe_for_tables):
        return
    text = msgspec.json.encode(Record(store.env.now(), found))
    with suppress(AtomicManifestError):
        store.put(RECORD_PATH, msgspec.json.format(text, indent=2))
