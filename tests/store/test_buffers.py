"""Arrow's buffers are signed: their memoryview has the format `b`, which not every SDK takes."""

import pyarrow as pa
import pytest

from atomic_manifest.store import open_store


@pytest.mark.parametrize("server", ["memory", "local", "ministack"])
def test_put_takes_the_memoryview_of_an_arrow_buffer(server, request, tmp_path):
    if server == "ministack":
        s3 = request.getfixturevalue("ministack")
        store = open_store(f"s3://{s3.new_bucket()}/x", s3.storage_options)
    else:
        store = open_store("memory://arrow-buffers" if server == "memory" else tmp_path)
    meta = store.put("object", memoryview(pa.py_buffer(b"bytes")))
    assert meta.size == 5
    assert store.get("object").data == b"bytes"
