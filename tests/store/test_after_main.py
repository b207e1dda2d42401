"""Buckets used by a thread that outlives the main one, by each client."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, json, sys, threading
import atomic_manifest as am
from atomic_manifest.store import AsyncObjectStore, open_store

url, how, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
if how == "fsspec":
    import s3fs

    given = {"filesystem": s3fs.S3FileSystem(
        key=options["key"], secret=options["secret"],
        client_kwargs={"endpoint_url": options["endpoint_url"], "region_name": options["region"]},
    )}
else:
    given = {"storage_options": options}

am.Table  # loaded in time: pandas, which it may need, cannot be loaded later for the first time

def use():
    threading.main_thread().join()
    am.append(url, {"i": [1]}, **given)
    table = am.Table.open(url, **given)
    table.append({"i": [2]})
    table.delete("i = 1")
    assert table.to_arrow()["i"].to_pylist() == [2]
    store = open_store(url, **given)

    async def use_store():
        opened = AsyncObjectStore.of(store)
        await opened.put("note", b"x")
        assert (await opened.get("note")).data == b"x"
        await opened.close()

    asyncio.run(use_store())
    print("done", flush=True)

threading.Thread(target=use).start()
"""


@pytest.mark.parametrize("how", ["options", "fsspec"])
@pytest.mark.faults
def test_a_bucket_can_be_used_after_the_main_thread_has_ended(how, modelled_s3):
    """The host has a name: looking it up takes a thread as long as there are any."""
    endpoint = modelled_s3.endpoint_url.replace("127.0.0.1", "localhost")
    options = {**modelled_s3.storage_options, "endpoint_url": endpoint}
    url = f"s3://{modelled_s3.new_bucket()}/t"
    command = [sys.executable, "-c", SCRIPT, url, how, json.dumps(options)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert ran.stdout == "done\n", ran.stderr
