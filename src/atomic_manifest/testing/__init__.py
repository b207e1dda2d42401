"""What tests of storage, ours and others', are made of. Needs no test framework itself."""

from atomic_manifest.testing.conformance import StoreConformance
from atomic_manifest.testing.drivers import CountingDriver, Fault, FaultyDriver, Request
from atomic_manifest.testing.env import FakeEnv
from atomic_manifest.testing.features import Feature

__all__ = [
    "CountingDriver",
    "FakeEnv",
    "Fault",
    "FaultyDriver",
    "Feature",
    "Request",
    "StoreConformance",
]
