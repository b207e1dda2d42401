"""What tests of storage, ours and others', are made of. Needs no test framework itself."""

from atomic_manifest.testing.conformance import StoreConformance
from atomic_manifest.testing.damaging import Damage, DamagingDriver, seeded_damage
from atomic_manifest.testing.drivers import CountingDriver, Request
from atomic_manifest.testing.env import FakeEnv
from atomic_manifest.testing.faulty import Fault, FaultyDriver, seeded_faults
from atomic_manifest.testing.features import Feature
from atomic_manifest.testing.stores import CountingStore, FaultyStore

__all__ = [
    "CountingDriver",
    "CountingStore",
    "Damage",
    "DamagingDriver",
    "FakeEnv",
    "Fault",
    "FaultyDriver",
    "FaultyStore",
    "Feature",
    "Request",
    "StoreConformance",
    "seeded_damage",
    "seeded_faults",
]
