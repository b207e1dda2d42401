"""Every driver against the one suite."""

import pytest

from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.open import open_driver
from atomic_manifest.testing import CountingDriver, FaultyDriver, StoreConformance


class TestMemory(StoreConformance):
    @pytest.fixture
    def driver(self):
        return MemoryDriver()


class TestLocal(StoreConformance):
    keeps_metadata = False

    @pytest.fixture
    def driver(self, tmp_path):
        return LocalDriver(tmp_path / "not yet there" / "root")


class TestRemote(StoreConformance):
    """obstore to S3."""

    matches_any = False

    @pytest.fixture
    def driver(self, ministack):
        return open_driver(f"s3://{ministack.new_bucket()}/some/folder", ministack.storage_options)


class TestWrappers(StoreConformance):
    """The drivers around drivers, when nothing is to fail."""

    @pytest.fixture
    def driver(self):
        return CountingDriver(FaultyDriver(MemoryDriver(), {}))
