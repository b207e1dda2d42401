"""A service that never answers holds nobody up for longer than the storage options say."""

import pytest

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.conditions import IfAbsent, IfMatch
from atomic_manifest.store.driver import Unanswered
from atomic_manifest.store.open import open_driver
from tests.servers.start_cloud import ACCOUNT, ACCOUNT_KEY
from tests.store.scripted import Answer

HANGING = [Answer(hang=True)] * 20
TIMEOUT = {"timeout": 0.2}


def s3(url):
    return open_driver("s3://b/f", {"key": "k", "secret": "s", "endpoint_url": url} | TIMEOUT)


def gcs(url):
    pytest.importorskip("gcsfs")
    return open_driver("gs://b/f", {"bearer_token": "t", "endpoint_url": url} | TIMEOUT)


def azure(url):
    pytest.importorskip("adlfs")
    account = {"account_name": ACCOUNT, "account_key": ACCOUNT_KEY}
    return open_driver("az://b/f", {**account, "endpoint_url": url} | TIMEOUT)


@pytest.fixture(params=[s3, gcs, azure])
def driver(request, scripted):
    scripted.script(*HANGING)
    return request.param(scripted.url)


def test_first_client_gives_up(driver):
    assert isinstance(driver.put("k", b"x", when=IfAbsent()), Unanswered)
    with pytest.raises(StoreUnavailable):
        driver.get("k")


def test_second_client_gives_up(driver):
    assert isinstance(driver.delete("k", when=IfMatch("7")), Unanswered)


def test_completed_upload_that_is_not_answered_gives_up(scripted):
    pytest.importorskip("adlfs")
    scripted.script(201, *HANGING)
    upload = azure(scripted.url).start_upload("k", part_size=4, max_in_flight=1, when=IfAbsent())
    upload.write(b"abcd")
    assert isinstance(upload.finish(), Unanswered)
    assert len(scripted.requests) == 2


def test_part_that_is_not_answered_gives_up(scripted, monkeypatch):
    """Parts are sent again, after pauses that are the SDK's and are left out here."""
    pytest.importorskip("adlfs")
    from azure.storage.blob.aio import ExponentialRetry

    async def at_once(*_args):
        return

    monkeypatch.setattr(ExponentialRetry, "_sleep_for_retry", at_once, raising=False)
    monkeypatch.setattr(ExponentialRetry, "sleep", at_once, raising=False)
    scripted.script(*HANGING)
    upload = azure(scripted.url).start_upload("k", part_size=4, max_in_flight=1, when=IfAbsent())
    upload.write(b"abcdefgh")
    with pytest.raises(StoreUnavailable):
        upload.write(b"ijklmnop")
    upload.abort()
