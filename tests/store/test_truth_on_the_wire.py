"""What `put` says is so when the connection itself is cut: seeded runs over a real socket.

The server cuts the connection before a request takes effect, or after it did, or answers with an error
of either kind. Afterwards it is asked, undisturbed, what is there.
"""

import asyncio
import random

import pytest
from s3fs import S3FileSystem

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, open_async_store, open_store
from atomic_manifest.testing import FakeEnv
from tests.store.both import Blocking
from tests.store.test_truth import MINE, NOT_WRITTEN, OLD

CUTS = ["lost_before", "lost_after", "500", "500_after", "503", "503_after", "409", "429"]
pytestmark = pytest.mark.faults


def faults(dice, key):
    """Failures of the first requests on a key, most of them of writes."""
    kinds = [dice.choice(CUTS) for _ in range(dice.randint(1, 4))]
    kinds += ["lost_after"] if dice.random() < 0.5 else []
    looks = [("HEAD", kind) for kind in kinds if dice.random() < 0.2 and kind[:3] not in "409"]
    return [
        {"kind": k, "method": m, "match": key} for m, k in [*(("PUT", k) for k in kinds), *looks]
    ]


def tell(server, store, clean, seed):
    """One run; returns the kind of answer."""
    dice, key = random.Random(seed), f"k{seed}"
    old = clean.put(key, OLD).etag if dice.random() < 0.5 else None
    swap = old is not None and dice.random() < 0.7
    server.inject(*faults(dice, key))
    told = "written"
    try:
        meta = store.put(key, MINE, when=IfMatch(old) if swap else IfAbsent())
    except (*NOT_WRITTEN, errors.StoreUnavailable, errors.WriteOutcomeUnknown) as error:
        told = type(error).__name__
    server.reset(keep_objects=True)
    try:
        found = clean.get(key)
    except errors.NotFound:
        found = None
    landed = found is not None and found.data == MINE
    if told == "written":
        assert landed, seed
        assert meta.etag == found.meta.etag, seed
    elif told != "WriteOutcomeUnknown":
        assert not landed, (seed, told)
    if old is not None and not swap:
        assert not landed, seed
    return told


class AsyncEnv(FakeEnv):
    async def sleep_async(self, seconds):
        self.sleep(seconds)
        await asyncio.sleep(0)


@pytest.fixture(params=["obstore", "async", "s3fs"])
def stores(request, modelled_s3):
    """The store under test, and one of the same bucket that nothing disturbs."""
    options, bucket = modelled_s3.storage_options, modelled_s3.new_bucket()
    clean = open_store(f"s3://{bucket}", options)
    if request.param == "obstore":
        yield open_store(f"s3://{bucket}", options, env=FakeEnv()), clean
        return
    if request.param == "async":
        with asyncio.Runner() as runner:
            store = open_async_store(f"s3://{bucket}", options, env=AsyncEnv())
            yield Blocking(store, runner), clean
            runner.run(store.close())
        return
    fs = S3FileSystem(
        key=modelled_s3.key,
        secret=modelled_s3.secret,
        endpoint_url=modelled_s3.endpoint_url,
        client_kwargs={"region_name": modelled_s3.region},
        skip_instance_cache=True,
    )
    yield open_store(bucket, filesystem=fs, env=FakeEnv()), clean


def run(server, stores, seeds):
    answers = [tell(server, *stores, seed) for seed in seeds]
    assert answers.count("written") > len(answers) // 4
    assert len({*answers}) > 1


def test_answer_is_true_whenever_the_connection_is_cut(modelled_s3, stores):
    run(modelled_s3, stores, range(1000, 1050))


@pytest.mark.slow
def test_answer_is_true_in_a_thousand_runs(modelled_s3, stores):
    run(modelled_s3, stores, range(1000))
