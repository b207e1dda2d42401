"""What a table holds after a run, read without the library that wrote it where the format allows.

Every append of a benchmark writes `measuring.ROWS` rows whose `day` is the number of the append, so
the contents say of every append how often it is there.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import obstore
import pyarrow as pa

from benchmarks.endpoint import S3Endpoint

READERS = 32


@dataclass(slots=True)
class Contents:
    """What was found.

    Attributes:
        rows: By number of the append. In a Delta log, a file that two entries add counts twice.
        versions: Entries of the log after the one that created the table.
        commit_ids: How often the log names each, where the writer leaves ids there.
    """

    rows: Counter[int] = field(default_factory=Counter)
    versions: int = 0
    commit_ids: Counter[str] = field(default_factory=Counter)


def delta_contents(endpoint: S3Endpoint, url: str) -> Contents:
    """Read the entries of a Delta log, as they are."""
    bucket, _, table = url.removeprefix("s3://").partition("/")
    store = endpoint.bucket_store(bucket)
    pages = obstore.list(store, f"{table}/_delta_log/")
    paths = [each["path"] for page in pages for each in page if each["path"].endswith(".json")]
    contents = Contents(versions=len(paths) - 1)
    with ThreadPoolExecutor(READERS) as pool:
        for entry in pool.map(lambda path: obstore.get(store, path).bytes().to_bytes(), paths):
            for action in map(json.loads, entry.splitlines()):
                _take(action, contents)
    return contents


def _take(action: dict[str, Any], contents: Contents) -> None:
    if add := action.get("add"):
        stats = json.loads(add["stats"])
        contents.rows[stats["minValues"]["day"]] += stats["numRecords"]
    contents.commit_ids.update(_commit_ids(action))


def _commit_ids(action: dict[str, Any]) -> Iterator[str]:
    for commit in action.get("commitInfo", {}).get("atomicManifest", {}).get("commits", ()):
        yield commit["id"]


def lance_contents(endpoint: S3Endpoint, url: str) -> Contents:
    """Read the rows of a Lance dataset's latest version."""
    import lance

    dataset = lance.dataset(url, storage_options=endpoint.lance_options)
    days: pa.ChunkedArray = dataset.to_table(columns=["day"])["day"]
    counts = days.value_counts().to_pylist()
    rows = Counter({each["values"]: each["counts"] for each in counts})
    return Contents(rows, versions=dataset.version - 1)
