"""Buckets that keep versions, on a real server."""

from contextlib import closing

import pytest

from atomic_manifest import errors
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Deleted, Refused, Written
from atomic_manifest.store.open import open_driver


def versioned(server):
    bucket = server.new_bucket()
    with closing(server.client()) as client:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return open_driver(f"s3://{bucket}/folder", server.storage_options)


@pytest.fixture(params=["ministack", "moto", "seaweedfs"])
def driver(request):
    return versioned(request.getfixturevalue(request.param))


@pytest.fixture
def by_version(seaweedfs):
    """The server that asks a version's own tag; the others do as Amazon, and ask the current one's."""
    return versioned(seaweedfs)


def written(outcome):
    assert isinstance(outcome, Written), outcome
    return outcome.meta


def test_each_state_has_a_version_that_put_head_and_get_tell(driver):
    first, second = written(driver.put("k", b"1")), written(driver.put("k", b"2"))
    assert first.version is not None
    assert first.version != second.version
    assert driver.head("k").version == driver.get("k").meta.version == second.version


def test_an_object_is_created_over_a_delete_marker(driver):
    driver.put("k", b"1")
    driver.delete("k")
    with pytest.raises(errors.NotFound):
        driver.head("k")
    assert isinstance(driver.put("k", b"2", when=IfAbsent()), Written)
    assert driver.get("k").data == b"2"


def test_a_delete_marker_has_no_tag_to_match(driver):
    old = written(driver.put("k", b"1"))
    driver.delete("k")
    assert driver.put("k", b"2", when=IfMatch(old.etag)) == Refused(None)
    with pytest.raises(errors.NotFound):
        driver.head("k")


def test_a_deleted_version_is_gone_for_good_and_the_one_before_is_back(driver):
    first, second = written(driver.put("k", b"1")), written(driver.put("k", b"2"))
    assert driver.delete("k", version=second.version) == Deleted()
    found = driver.get("k")
    assert (found.data, found.meta.version) == (b"1", first.version)


def test_a_version_is_deleted_by_its_own_tag(by_version):
    driver = by_version
    first, second = written(driver.put("k", b"1")), written(driver.put("k", b"2"))
    assert driver.delete("k", version=first.version, when=IfMatch(first.etag)) == Deleted()
    assert driver.get("k").meta.version == second.version
    assert driver.delete("k", version=second.version, when=IfMatch(second.etag)) == Deleted()
    with pytest.raises(errors.NotFound):
        driver.head("k")


def test_a_version_is_not_deleted_by_anothers_tag(by_version):
    driver = by_version
    first, second = written(driver.put("k", b"1")), written(driver.put("k", b"2"))
    assert isinstance(driver.delete("k", version=first.version, when=IfMatch(second.etag)), Refused)
    driver.delete("k", version=second.version)
    assert driver.get("k").meta.version == first.version
