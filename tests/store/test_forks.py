"""A process that is forked after requests were made goes on with the store it has, and never hangs."""

import os
import subprocess
import sys

import pytest

from tests.store.scripted import Answer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

PROGRAM = """
import os, signal, traceback
from atomic_manifest.store import IfAbsent, open_store
{open}
store.put("k", b"parent", when=IfAbsent())
child = os.fork()
if child == 0:
    signal.alarm(30)  # ends a child that hangs
    try:
        {act}
    except Exception:
        traceback.print_exc()
    os._exit(1)
status = os.waitpid(child, 0)[1]
assert os.waitstatus_to_exitcode(status) == 0, status
store.put("k", b"parent again")
"""
EVERYTHING = """
        assert store.head("k").etag is not None
        store.get("k")
        store.put("k", b"child")
        store.delete("k")
        store.delete_many(["k"])
        list(store.list())
        os._exit(0)
"""
TASKS = """
        import asyncio
        from atomic_manifest.store import AsyncObjectStore

        async def use():
            async with AsyncObjectStore.of(store) as tasks:
                await tasks.put("k", b"child")
                await tasks.get("k")
                assert [meta async for meta in tasks.list()] == []
                await tasks.delete("k")

        asyncio.run(use())
        os._exit(0)
"""
FILESYSTEM = """
from s3fs import S3FileSystem
fs = S3FileSystem(
    key="k", secret="s", endpoint_url={url!r}, client_kwargs={{"region_name": "us-east-1"}}
)
store = open_store("bucket/folder", filesystem=fs)
"""
S3 = """
options = {{"key": "k", "secret": "s", "endpoint_url": {url!r}, "timeout": 5}}
store = open_store("s3://bucket/folder", options)
"""
GCS = """
options = {{"bearer_token": "t", "endpoint_url": {url!r}, "timeout": 5}}
store = open_store("gs://bucket/folder", options)
"""
LISTED = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
SIZED = Answer(headers={"Content-Length": "1"})
CONTENTS = Answer(body=b"x")


def run(program: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("opening", [S3, FILESYSTEM])
def test_forked_process_makes_every_request(scripted, opening):
    scripted.script(200, SIZED, CONTENTS, 200, 204, Answer(body=b"<DeleteResult/>"))
    scripted.script(Answer(body=LISTED), 200)
    run(PROGRAM.format(open=opening.format(url=scripted.url), act=EVERYTHING.strip()))
    methods = [seen.method for seen in scripted.requests]
    assert methods == ["PUT", "HEAD", "GET", "PUT", "DELETE", "POST", "GET", "PUT"]


@pytest.mark.parametrize("opening", [S3, FILESYSTEM])
def test_tasks_of_a_forked_process_make_every_request(scripted, opening):
    scripted.script(200, 200, CONTENTS, Answer(body=LISTED), 204, 200)
    run(PROGRAM.format(open=opening.format(url=scripted.url), act=TASKS.strip()))
    assert [seen.method for seen in scripted.requests][1:5] == ["PUT", "GET", "GET", "DELETE"]


def test_forked_process_of_google_storage_reads(scripted):
    pytest.importorskip("gcsfs")
    scripted.script(Answer(headers={"x-goog-generation": "1"}), CONTENTS)
    scripted.script(Answer(headers={"x-goog-generation": "2"}))
    act = 'assert store.get("k").data == b"x"; os._exit(0)'
    run(PROGRAM.format(open=GCS.format(url=scripted.url), act=act))
    assert [seen.method for seen in scripted.requests] == ["PUT", "GET", "PUT"]


def test_what_only_obstore_can_ask_is_refused_in_a_forked_process(scripted):
    act = (
        "from atomic_manifest.errors import UnsupportedByStore\n"
        "        try:\n"
        '            store.driver.raw().put("k", b"x", {})\n'
        "        except UnsupportedByStore as error:\n"
        '            assert "spawn" in str(error)\n'
        "            os._exit(0)"
    )
    run(PROGRAM.format(open=S3.format(url=scripted.url), act=act))
