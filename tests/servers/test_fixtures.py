"""The servers are worth testing against: they refuse a second creator, also in a race."""

from concurrent.futures import ThreadPoolExecutor

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PermissionDeniedError

from tests.servers.start import S3Server

CREATORS = 16


def test_second_create_if_absent_is_refused_with_412(s3_server):
    store = s3_server.obstore(s3_server.new_bucket())
    obstore.put(store, "key", b"first", mode="create")
    with pytest.raises(AlreadyExistsError, match="412"):
        obstore.put(store, "key", b"second", mode="create")
    assert obstore.get(store, "key").bytes() == b"first"


def test_racing_creators_have_one_winner_whose_bytes_stay(s3_server):
    store = s3_server.obstore(s3_server.new_bucket())

    def create(number: int) -> int | None:
        try:
            obstore.put(store, "key", str(number).encode(), mode="create")
        except AlreadyExistsError:
            return None
        return number

    with ThreadPoolExecutor(CREATORS) as pool:
        winners = [each for each in pool.map(create, range(CREATORS)) if each is not None]
    assert [str(each).encode() for each in winners] == [obstore.get(store, "key").bytes()]


def test_new_buckets_are_fresh_each_time(s3_server):
    first, second = s3_server.new_bucket(), s3_server.new_bucket()
    assert first != second
    assert list(obstore.list(s3_server.obstore(second))) == []


def test_seaweedfs_refuses_a_wrong_secret(seaweedfs):
    bucket = seaweedfs.new_bucket()
    stranger = S3Server("stranger", seaweedfs.endpoint_url, seaweedfs.key, "another-secret")
    with pytest.raises(PermissionDeniedError):
        obstore.put(stranger.obstore(bucket), "key", b"data")


def test_secrets_stay_out_of_the_representation(s3_server):
    assert s3_server.secret not in repr(s3_server)
