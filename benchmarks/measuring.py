"""What the benchmarks share: the model's latencies, the data, and how to count."""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.modelled_s3 import ModelledS3

LATENCY_MS = {"put_ms": 30, "get_ms": 15, "list_ms": 30, "head_ms": 15, "delete_ms": 15}
ROWS = 1000

SHORT_NAMES = {
    "PutObject": "PUT",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "ListObjectsV2": "LIST",
    "DeleteObject": "DELETE",
    "DeleteObjects": "DELETE many",
}


def rows(number: int) -> pa.Table:
    """A small table of five columns; `day` holds the number, so that what a table is found to hold
    tells which appends it took."""
    template = _template()
    ids = pc.add(template["id"], pa.scalar(number * ROWS, pa.int64()))
    days = pa.repeat(pa.scalar(number, pa.int32()), ROWS)
    return template.set_column(0, "id", ids).set_column(1, "day", days)


@functools.cache
def _template() -> pa.Table:
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "day": pa.array([0] * ROWS, pa.int32()),
            "amount": pa.array([i * 0.25 for i in range(ROWS)], pa.float64()),
            "name": pa.array([f"name-{i % 97}" for i in range(ROWS)], pa.string()),
            "paid": pa.array([i % 3 == 0 for i in range(ROWS)], pa.bool_()),
        }
    )


def request_counts(server: ModelledS3) -> Counter[str]:
    """Requests so far, by kind, such as `PUT log`."""
    return Counter(
        {
            f"{SHORT_NAMES.get(operation, operation)} {about}": count
            for operation, counts in server.stats()["requests"].items()
            for about, count in counts.items()
        }
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1]
