"""Several processes append to one table at once; nothing is lost, nothing is there twice.

python examples/concurrent_ingest.py [table]
"""

import multiprocessing
import sys
import tempfile

import pyarrow as pa

import atomic_manifest as am

WRITERS, COMMITS, ROWS = 4, 5, 1000


def ingest(url: str, writer: int) -> list[int]:
    """One process: a few appends; returns the versions they became."""
    versions = []
    for commit in range(COMMITS):
        start = (writer * COMMITS + commit) * ROWS
        batch = pa.table({"id": range(start, start + ROWS), "writer": [writer] * ROWS})
        versions.append(am.append(url, batch, txn=(f"writer-{writer}", commit)).version)
    return versions


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.mkdtemp()}/events"
    with multiprocessing.get_context("spawn").Pool(WRITERS) as pool:
        per_writer = pool.starmap(ingest, [(url, writer) for writer in range(WRITERS)])
    versions = sorted(version for versions in per_writer for version in versions)
    ids = am.Table.open(url).to_arrow(["id"])["id"].to_pylist()
    print(f"versions {versions[0]} to {versions[-1]}, {len(ids)} rows in {url}")
    # Writers that meet share a version: gapless, and at most one for each commit.
    assert set(versions) == set(range(versions[-1] + 1))
    assert sorted(ids) == list(range(WRITERS * COMMITS * ROWS))


if __name__ == "__main__":
    main()
