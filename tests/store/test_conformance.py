"""Every driver against the one suite, on real servers; each class says what its server gets wrong."""

import itertools

import pytest

from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.open import open_driver
from atomic_manifest.testing import CountingDriver, FaultyDriver, Feature, StoreConformance
from tests.store.blocking_driver import BlockingDriver, event_loop, in_threads

ONE_TAG = frozenset({Feature.PUT_SEVERAL})
_numbers = itertools.count()


@pytest.fixture(scope="module")
def seaweedfs_bucket(seaweedfs):
    return seaweedfs.new_bucket()


class Memory(StoreConformance):
    @pytest.fixture
    def driver(self):
        return MemoryDriver()


class Local(StoreConformance):
    keeps_metadata = False

    @pytest.fixture
    def driver(self, tmp_path):
        return LocalDriver(tmp_path / "not yet there" / "root")


class Ministack(StoreConformance):
    """obstore to S3, and s3fs for the rest."""

    lacks = ONE_TAG
    flaws = dict.fromkeys(
        (Feature.COPY_ABSENT, Feature.COPY_MATCH, Feature.COPY_ANY, Feature.COPY_RACES),
        "ministack ignores conditions on a copy's destination",
    ) | dict.fromkeys(
        (Feature.DELETE_MISSING, Feature.DELETE_RACES),
        "ministack answers 204 to a conditional deletion of nothing",
    )

    @pytest.fixture
    def driver(self, ministack):
        return open_driver(f"s3://{ministack.new_bucket()}/some/folder", ministack.storage_options)


class Moto(StoreConformance):
    lacks = ONE_TAG
    flaws = (
        dict.fromkeys((Feature.PUT_ANY, Feature.DELETE_ANY), "moto compares `*` with the ETag")
        | dict.fromkeys(
            (Feature.UPLOAD_MATCH, Feature.UPLOAD_ANY),
            "moto ignores If-Match when an upload is completed",
        )
        | dict.fromkeys(
            (Feature.PUT_RACES, Feature.UPLOAD_RACES, Feature.DELETE_RACES),
            "moto looks first and writes after; under load several win, rarely",
        )
        | dict.fromkeys(
            (
                Feature.COPY_ABSENT,
                Feature.COPY_MATCH,
                Feature.COPY_ANY,
                Feature.COPY_SOURCE,
                Feature.COPY_RACES,
            ),
            "moto ignores conditions on copies",
        )
    )

    @pytest.fixture
    def driver(self, moto):
        return open_driver(f"s3://{moto.new_bucket()}/some/folder", moto.storage_options)


class Seaweedfs(StoreConformance):
    """One bucket for all tests, since each takes several of the server's volumes. Slow when many
    race for one key, which it settles by a lock."""

    lacks = ONE_TAG
    flaws = dict.fromkeys(
        (Feature.UPLOAD_RACES,), "several conditional completions may win on SeaweedFS"
    )
    lists_by_path = False
    rounds = 1
    creators = 8
    racers = 4

    @pytest.fixture
    def driver(self, seaweedfs, seaweedfs_bucket):
        url = f"s3://{seaweedfs_bucket}/f/{next(_numbers)}"
        return open_driver(url, seaweedfs.storage_options)


class Azure(StoreConformance):
    """obstore to Azure, and adlfs for the rest."""

    lacks = ONE_TAG
    flaws = dict.fromkeys(
        (Feature.PUT_ANY, Feature.UPLOAD_ANY, Feature.COPY_ANY),
        "Azurite creates on If-Match: * what is not there",
    )

    @pytest.fixture
    def driver(self, azurite):
        return open_driver(f"{azurite.new_url()}/some/folder", azurite.storage_options)


class Gcs(StoreConformance):
    """gcsfs to Google Cloud Storage, and obstore for reading: the server has the JSON API alone."""

    lacks = ONE_TAG
    flaws = (
        dict.fromkeys(
            (
                Feature.UPLOAD_ABSENT,
                Feature.UPLOAD_MATCH,
                Feature.UPLOAD_ANY,
                Feature.UPLOAD_RACES,
            ),
            "fake-gcs-server ignores the conditions of resumable uploads",
        )
        | dict.fromkeys(
            (
                Feature.COPY_ABSENT,
                Feature.COPY_MATCH,
                Feature.COPY_ANY,
                Feature.COPY_SOURCE,
                Feature.COPY_RACES,
            ),
            "fake-gcs-server ignores the conditions of copies",
        )
        | dict.fromkeys(
            (Feature.DELETE_MATCH, Feature.DELETE_RACES),
            "fake-gcs-server ignores the conditions of deletions",
        )
    )
    lists_etags = False

    @pytest.fixture
    def driver(self, fake_gcs):
        return open_driver(f"{fake_gcs.new_url()}/some/folder", fake_gcs.storage_options)


class TestMemory(Memory):
    rounds = 50


class TestLocal(Local):
    pass


class TestMinistack(Ministack):
    pass


class TestMoto(Moto):
    pass


class TestSeaweedfs(Seaweedfs):
    pass


class TestAzure(Azure):
    pass


class TestGcs(Gcs):
    pass


class TestMinistackAsync(Ministack):
    """The asynchronous driver."""

    @pytest.fixture
    def driver(self, ministack):
        url = f"s3://{ministack.new_bucket()}/some/folder"
        with event_loop() as loop:
            yield BlockingDriver(open_driver(url, ministack.storage_options).as_async(), loop)


class TestAzureAsync(Azure):
    """The asynchronous driver."""

    @pytest.fixture
    def driver(self, azurite):
        remote = open_driver(f"{azurite.new_url()}/some/folder", azurite.storage_options)
        with event_loop() as loop:
            yield BlockingDriver(remote.as_async(), loop)


class TestGcsAsync(Gcs):
    """The asynchronous driver."""

    @pytest.fixture
    def driver(self, fake_gcs):
        remote = open_driver(f"{fake_gcs.new_url()}/some/folder", fake_gcs.storage_options)
        with event_loop() as loop:
            yield BlockingDriver(remote.as_async(), loop)


class TestSeaweedfsAsync(Seaweedfs):
    """The asynchronous driver."""

    @pytest.fixture
    def driver(self, seaweedfs, seaweedfs_bucket):
        remote = open_driver(
            f"s3://{seaweedfs_bucket}/async/{next(_numbers)}", seaweedfs.storage_options
        )
        with event_loop() as loop:
            yield BlockingDriver(remote.as_async(), loop)


class TestMotoAsync(Moto):
    """The asynchronous driver."""

    @pytest.fixture
    def driver(self, moto):
        remote = open_driver(f"s3://{moto.new_bucket()}/some/folder", moto.storage_options)
        with event_loop() as loop:
            yield BlockingDriver(remote.as_async(), loop)


class TestMemoryAsync(Memory):
    """By the threads that stand in for a driver's own coroutines."""

    @pytest.fixture
    def driver(self):
        with in_threads(MemoryDriver()) as driver:
            yield driver


class TestLocalAsync(Local):
    """By the threads that stand in for a driver's own coroutines."""

    @pytest.fixture
    def driver(self, tmp_path):
        with in_threads(LocalDriver(tmp_path)) as driver:
            yield driver


class TestWrappers(Memory):
    """The drivers around drivers, when nothing is to fail."""

    @pytest.fixture
    def driver(self):
        return CountingDriver(FaultyDriver(MemoryDriver(), {}))


@pytest.mark.slow
class TestLocalAtLength(Local):
    rounds = 50


@pytest.mark.slow
class TestMinistackAtLength(Ministack):
    rounds = 50


@pytest.mark.slow
class TestMotoAtLength(Moto):
    rounds = 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestSeaweedfsAtLength(Seaweedfs):
    rounds = 50
    creators = 16
    racers = 8


@pytest.mark.slow
class TestAzureAtLength(Azure):
    rounds = 50


@pytest.mark.slow
class TestGcsAtLength(Gcs):
    rounds = 50
