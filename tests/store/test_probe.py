"""The probe on stores whose behaviour is made for it: found out, each for what it does."""

import threading
from collections import Counter
from functools import partial

import pytest

from atomic_manifest.env import SYSTEM
from atomic_manifest.errors import StoreError, StoreUnavailable, UnsupportedByStore
from atomic_manifest.store import IfAbsent, IfMatch, ObjectStore, Retry, open_store
from atomic_manifest.store.capabilities import (
    Capabilities,
    CreateStrategy,
    Finding,
    Support,
    all_safe,
)
from atomic_manifest.store.driver import Refused, Unanswered, Written
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.store.probe import probe, probe_creation
from atomic_manifest.store.probe.session import Session
from atomic_manifest.store.probe.writes import alike
from atomic_manifest.store.safety.remembered import capabilities_of, forget, known_of, remember
from atomic_manifest.store.safety.tables import for_tables
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.foreign import Foreign

NO_WAIT = Retry(base_seconds=0, cap_seconds=0)


@pytest.fixture(autouse=True)
def _remembers_nothing():
    forget()
    yield
    forget()


class LooksFirst(PassingDriver):
    """Evaluates conditions by looking first, then writes: what a check-then-act service does."""

    def __init__(self, inner):
        super().__init__(inner)
        self._looked = threading.Barrier(2)

    def put(self, path, data, *, when=None, metadata=None):
        if when is None:
            return self.inner.put(path, data, metadata=metadata)
        etag = next((m.etag for m in self.inner.list() if m.path == path), None)
        holds = etag is None if isinstance(when, IfAbsent) else when.satisfied_by(etag)
        try:
            self._looked.wait(0.05)
        except threading.BrokenBarrierError:
            self._looked = threading.Barrier(2)
        return self.inner.put(path, data, metadata=metadata) if holds else Refused(etag)


class Ignores(PassingDriver):
    """Drops every condition in silence."""

    def put(self, path, data, *, when=None, metadata=None):
        return self.inner.put(path, data, metadata=metadata)

    def start_upload(self, path, *, when=None, **rest):
        return self.inner.start_upload(path, **rest)

    def copy(self, source, path, *, when=None, source_when=None):
        return self.inner.copy(source, path)

    def delete(self, path, *, when=None, version=None):
        return self.inner.delete(path)


class Refuses(PassingDriver):
    """Answers every condition of a put with an error."""

    def put(self, path, data, *, when=None, metadata=None):
        if when is not None:
            raise StoreError(f"{path}: S3 says 400 Bad Request (NotImplemented)", path=path)
        return self.inner.put(path, data, metadata=metadata)


class RefusesEverything(PassingDriver):
    """Answers every condition as if it did not hold."""

    def put(self, path, data, *, when=None, metadata=None):
        return Refused() if when is not None else self.inner.put(path, data)


def supports(found: Capabilities) -> Counter[Support]:
    return Counter(finding.support for _, finding in found.findings())


def test_memory_and_local_files_are_safe_in_everything_and_left_clean(tmp_path):
    for url in ("memory://probe-clean", str(tmp_path)):
        store = open_store(url)
        found = probe(store, rounds=3)
        assert supports(found) == {Support.SAFE: 15, Support.UNTESTED: 4}
        assert found.create_strategy is CreateStrategy.PUT
        assert list(store.list()) == []


def test_a_store_that_looks_first_is_sequential_only():
    found = probe(ObjectStore(LooksFirst(MemoryDriver())), rounds=4)
    for check in ("put_if_absent", "put_if_match"):
        assert getattr(found, check).support is Support.SEQUENTIAL_ONLY, check
    assert found.upload_if_absent.is_safe
    assert found.create_strategy is CreateStrategy.UPLOAD


def test_a_store_that_ignores_conditions_is_found_out_without_a_race():
    driver = CountingDriver(Ignores(MemoryDriver()))
    found = probe(ObjectStore(driver))
    ignored = {name for name, finding in found.findings() if finding.support is Support.IGNORED}
    assert len(ignored) == 12
    assert found.create_strategy is None
    assert not found.safe_for_tables


@pytest.mark.parametrize("driver", [Refuses, RefusesEverything])
def test_a_store_that_refuses_conditions_is_said_to_refuse(driver):
    found = probe(ObjectStore(driver(MemoryDriver())), rounds=2)
    assert found.put_if_absent.support is Support.REFUSED
    assert found.put_if_match.support is Support.REFUSED
    assert "probe" not in found.put_if_absent.detail  # no name of a key, which is never the same
    assert found.create_strategy is CreateStrategy.UPLOAD


def test_unanswered_requests_change_no_finding():
    """One request in 25 fails, before or after it landed."""
    kinds = [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.CONFLICT_409, Fault.ERROR_500]
    faulty = FaultyDriver(
        MemoryDriver(), lambda n, _: kinds[n // 25 % len(kinds)] if n % 25 == 24 else None
    )
    found = probe(ObjectStore(faulty, retry=NO_WAIT), rounds=3)
    assert supports(found) == {Support.SAFE: 15, Support.UNTESTED: 4}


def test_a_store_that_answers_nothing_is_an_error_and_not_a_finding():
    faulty = FaultyDriver(MemoryDriver(), lambda *_: Fault.LOST_BEFORE)
    with pytest.raises(StoreUnavailable):
        probe(ObjectStore(faulty, retry=NO_WAIT))


class NeverAnswersConditions(PassingDriver):
    def put(self, path, data, *, when=None, metadata=None):
        if when is not None:
            return Unanswered(StoreUnavailable("no answer", path=path))
        return self.inner.put(path, data)


def test_what_is_never_answered_is_untested_and_not_safe():
    found = probe_creation(ObjectStore(NeverAnswersConditions(MemoryDriver())))
    assert found.put_if_absent.support is Support.UNTESTED
    assert found.create_strategy is CreateStrategy.UPLOAD


def test_keys_are_removed_after_an_error():
    driver = MemoryDriver()

    class Breaks(PassingDriver):
        def copy(self, *_, **__):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        probe(ObjectStore(Breaks(driver)), rounds=1)
    assert list(driver.list()) == []


def test_time_bounds_the_probe():
    found = probe(ObjectStore(MemoryDriver()), seconds=0)
    assert supports(found) == {Support.UNTESTED: 16, Support.UNSUPPORTED: 3}


def test_one_thread_is_no_race():
    with pytest.raises(ValueError, match="2 threads"):
        probe(open_store("memory://alone"), threads=1)


def test_where_creates_or_swaps_race_a_write_to_what_exists_is_no_safer():
    safe, several = Finding(Support.SAFE), Finding(Support.SEQUENTIAL_ONLY, "several")
    ignored = Finding(Support.IGNORED, "why")
    put = {"put_if_absent": safe, "put_if_match": safe, "put_if_match_any": several}
    upload = {"upload_if_absent": safe, "upload_if_match": several, "upload_if_match_any": safe}
    copy = {"copy_if_absent": several, "copy_if_match": ignored, "copy_if_match_any": ignored}
    changed = alike(put | upload | copy)
    assert set(changed) == {"upload_if_match_any"}
    assert changed["upload_if_match_any"].support is Support.SEQUENTIAL_ONLY


@pytest.mark.parametrize(("pause", "widths"), [(0.0, [8, 8, 8, 8]), (2.0, [8, 4, 2, 2])])
def test_mostly_two_race_and_fewer_at_most_where_losers_wait(pause, widths):
    env = FakeEnv()
    store = ObjectStore(MemoryDriver(), env=env)
    bounds = {"threads": 8, "rounds": 16, "seconds": 300, "body_size": 10}
    fields = []
    with Session(store, prefix="p", **bounds) as session:
        for field in session.fields():
            fields.append(field)
            wait = partial(env.sleep, pause if field > 2 else 0)
            session.race([wait, *[int] * (field - 1)])
    assert fields == [each for wide in widths for each in (wide, 2, 2, 2)]


def test_a_check_on_a_slow_service_ends_after_sixteen_rounds():
    env = FakeEnv()
    store = ObjectStore(MemoryDriver(), env=env)
    bounds = {"threads": 2, "rounds": 48, "seconds": 300, "body_size": 10}
    with Session(store, prefix="p", **bounds) as session:
        assert len([env.sleep(1) for _ in session.fields()]) == 16


def test_capabilities_survive_json():
    found = probe(ObjectStore(Ignores(MemoryDriver())))
    assert Capabilities.from_json(found.to_json()) == found


def test_reduced_probe_of_a_safe_store_is_a_few_dozen_requests():
    driver = CountingDriver(MemoryDriver())
    found = probe_creation(ObjectStore(driver))
    assert found.create_strategy is CreateStrategy.PUT
    assert len(driver.requests) < 50


# --- remembering ---


def test_capabilities_are_probed_once_per_endpoint_by_whoever_asks_first():
    driver = CountingDriver(MemoryDriver())
    stores = [ObjectStore(Foreign(driver, "https://one.example")) for _ in range(4)]
    barrier = threading.Barrier(len(stores))
    found = []

    def ask(store):
        barrier.wait()
        found.append(capabilities_of(store, creation_only=True))

    threads = [threading.Thread(target=ask, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert driver.count("delete_many") == 1
    assert len({id(each) for each in found}) == 1
    before = len(driver.requests)
    capabilities_of(ObjectStore(Foreign(driver, "https://two.example")), creation_only=True)
    assert len(driver.requests) > before


def test_a_reduced_probe_is_not_enough_for_who_asks_for_all():
    store = ObjectStore(Foreign(MemoryDriver(), "https://reduced.example"))
    assert capabilities_of(store, creation_only=True).copy_if_absent.support is Support.UNTESTED
    assert store.capabilities.copy_if_absent.is_safe
    assert capabilities_of(store, creation_only=True).copy_if_absent.is_safe


def test_what_is_given_known_or_declared_is_never_probed():
    driver = CountingDriver(MemoryDriver())
    assert ObjectStore(driver).capabilities.source == "known"
    given = all_safe("mine", "known")
    assert ObjectStore(Foreign(driver, "x"), capabilities=given).capabilities is given
    declared = Foreign(driver, "y")
    declared.capabilities = given
    assert ObjectStore(declared).capabilities is given
    remembered = ObjectStore(Foreign(driver, "z"))
    remember(remembered, given)
    assert remembered.capabilities is given
    assert not driver.requests


def test_the_providers_own_services_are_known_and_other_endpoints_are_not():
    def source_of(url, **options):
        store = open_store(url, {"key": "k", "secret": "s", **options} if "s3" in url else options)
        known = known_of(store)
        assert (for_tables(store) is store) == (known is not None)
        return None if known is None else known.source

    assert source_of("s3://bucket", region="eu-west-1") == "known"
    assert source_of("s3://bucket", endpoint_url="https://s3.eu-west-1.amazonaws.com") == "known"
    assert source_of("s3://bucket", endpoint_url="https://storage.googleapis.com") is None
    assert source_of("s3://bucket", endpoint_url="https://amazonaws.com.example.org") is None
    assert source_of("s3://bucket", endpoint_url="http://127.0.0.1:9000") is None
    assert (
        source_of("s3://bucket", endpoint_url="https://s3.cn-north-1.amazonaws.com.cn") == "known"
    )
    assert source_of("s3://bucket", endpoint_url="https://0a.r2.cloudflarestorage.com") is None
    assert source_of("gs://bucket", anon=True) == "known"
    assert source_of("gs://bucket", anon=True, endpoint_url="http://127.0.0.1:4443") is None
    azure = {"account_name": "a", "account_key": "a2V5"}
    assert source_of("az://box", **azure) == "known"
    assert source_of("az://box", **azure, endpoint_url="http://127.0.0.1:10000/a") is None
    assumed = source_of("s3://b", endpoint_url="http://127.0.0.1:9", conditional_put="assume")
    assert assumed == "assumed"


def test_findings_read_as_a_sentence():
    assert str(Finding(Support.IGNORED, "why")) == "ignored (why)"
    assert str(Finding(Support.SAFE)) == "safe"


def test_writing_on_conditions_still_goes_to_the_driver():
    driver = PassingDriver(MemoryDriver())
    assert isinstance(driver.put("k", b"1", when=IfAbsent()), Written)
    assert isinstance(driver.put("k", b"2", when=IfAbsent()), Refused)
    assert isinstance(driver.put("k", b"2", when=IfMatch.ANY), Written)
    with pytest.raises(UnsupportedByStore):
        driver.delete("k", version="1")
    assert SYSTEM.new_id() not in repr(driver)
