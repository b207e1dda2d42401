"""The rows that are written: made from a seed, of a given size, the same for everybody."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

BATCH_ROWS = 100_000
ROW_BYTES = 49
"""Of a row of `trips`, as Arrow."""


def trips(megabytes: int, *, partitions: int = 1) -> pa.Table:
    """A table of seven columns that compresses about as data of the real world does.

    Args:
        megabytes: Its size in memory.
        partitions: Distinct values of `zone`, in random order.
    """
    count = max(1, megabytes * 1_000_000 // (ROW_BYTES * BATCH_ROWS))
    return pa.Table.from_batches([_batch(number, partitions) for number in range(count)])


def stream(megabytes: int) -> pa.RecordBatchReader:
    """The same, made while it is read, so that it is never in memory as a whole."""
    count = max(1, megabytes * 1_000_000 // (ROW_BYTES * BATCH_ROWS))
    first = _batch(0, 1)

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(count):
            yield _batch(number, 1)

    return pa.RecordBatchReader.from_batches(first.schema, batches())


def wide(columns: int, rows: int) -> pa.Table:
    """A table of many columns."""
    random = np.random.default_rng(1)
    return pa.table({f"column_{n}": random.normal(size=rows) for n in range(columns)})


def _batch(number: int, partitions: int) -> pa.RecordBatch:
    random = np.random.default_rng(number)
    codes = random.integers(0, 5000, BATCH_ROWS)
    return pa.record_batch(
        {
            "zone": pa.array(random.integers(0, partitions, BATCH_ROWS, dtype=np.int32)),
            "id": pa.array(np.arange(BATCH_ROWS, dtype=np.int64) + number * BATCH_ROWS),
            "at": pa.array(
                np.cumsum(random.integers(0, 2_000_000, BATCH_ROWS)), pa.timestamp("us", "UTC")
            ),
            "fare": pa.array(np.round(random.gamma(2.0, 9.0, BATCH_ROWS), 2)),
            "distance": pa.array(random.normal(4.0, 1.0, BATCH_ROWS)),
            "driver": pa.DictionaryArray.from_arrays(
                pa.array(codes, pa.int32()), pa.array([f"d-{code:05}" for code in range(5000)])
            ).cast(pa.string()),
            "paid": pa.array(random.random(BATCH_ROWS) < 0.7),
        }
    )
