import gc
import os

import pyarrow as pa

from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.joining import Joined
from atomic_manifest.data.write.options import WriteOptions

SIZE = 4 << 20


def test_the_first_row_group_of_an_open_file_is_let_go_of_once_it_is_written() -> None:
    numbers = pa.Array.from_buffers(pa.int64(), SIZE // 8, [None, pa.py_buffer(os.urandom(SIZE))])
    rows = pa.table({"x": numbers})
    encoder = RowGroupEncoder(rows.schema, WriteOptions())
    gc.collect()
    before = pa.total_allocated_bytes()
    files = []
    for _ in range(3):
        joined = Joined(len)
        joined.add(encoder.encode(rows))
        files.append(joined)
    assert all(joined.size > SIZE for joined in files)
    assert pa.total_allocated_bytes() - before < SIZE // 2
