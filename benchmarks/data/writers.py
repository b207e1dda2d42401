"""The libraries, each with the same codec, row groups and input."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pyarrow as pa

from benchmarks.endpoint import S3Endpoint

CODEC = "zstd"
ROWS_PER_GROUP = 1 << 20
OURS = "atomic_manifest"

Write: TypeAlias = Callable[[Any, str, list[str], S3Endpoint | None], None]
"""Writes the data (a table, or a reader) to a new table at a URL, partitioned by some columns."""


def ours(data: Any, url: str, partition_by: list[str], endpoint: S3Endpoint | None) -> None:
    """This library: files, then a commit that creates the table with them."""
    import atomic_manifest as am

    options = am.WriteOptions(compression=CODEC, max_rows_per_group=ROWS_PER_GROUP)
    given = endpoint.storage_options | {"conditional_put": "assume"} if endpoint else None
    am.append(url, data, partition_by=partition_by, options=options, storage_options=given)


def deltalake(data: Any, url: str, partition_by: list[str], endpoint: S3Endpoint | None) -> None:
    """delta-rs."""
    from deltalake import WriterProperties, write_deltalake

    write_deltalake(
        url,
        data,
        mode="append",
        partition_by=partition_by or None,
        writer_properties=WriterProperties(
            compression="ZSTD", compression_level=1, max_row_group_size=ROWS_PER_GROUP
        ),
        storage_options=endpoint.deltalake_options if endpoint else None,
    )


def dataset(data: Any, url: str, partition_by: list[str], endpoint: S3Endpoint | None) -> None:
    """`pyarrow.dataset.write_dataset`: files and no commit."""
    import pyarrow.dataset as ds

    if isinstance(data, pa.Table):
        data = data.to_reader()
    filesystem, folder = _filesystem(url, endpoint)
    ds.write_dataset(
        data,
        folder,
        format="parquet",
        filesystem=filesystem,
        partitioning=partition_by or None,
        partitioning_flavor="hive" if partition_by else None,
        file_options=ds.ParquetFileFormat().make_write_options(compression=CODEC),
        max_rows_per_group=ROWS_PER_GROUP,
        max_partitions=10_000,
        max_open_files=1024,
    )


def one_file(data: Any, url: str, _: list[str], endpoint: S3Endpoint | None) -> None:
    """`pyarrow.parquet` through `pyarrow.fs`: one file and no commit."""
    import pyarrow.parquet as pq

    filesystem, folder = _filesystem(url, endpoint)
    if endpoint is None:
        filesystem.create_dir(folder)
    _write_file(pq, filesystem.open_output_stream(f"{folder}/file.parquet"), data)


def one_file_by_s3fs(data: Any, url: str, _: list[str], endpoint: S3Endpoint | None) -> None:
    """`pyarrow.parquet` through s3fs: one file and no commit."""
    import pyarrow.parquet as pq
    import s3fs

    assert endpoint is not None
    filesystem = s3fs.S3FileSystem(
        key=endpoint.key, secret=endpoint.secret, endpoint_url=endpoint.endpoint_url
    )
    _write_file(pq, filesystem.open(f"{url.removeprefix('s3://')}/file.parquet", "wb"), data)


def _write_file(pq: Any, sink: Any, data: Any) -> None:
    with sink, pq.ParquetWriter(sink, data.schema, compression=CODEC) as writer:
        for piece in _groups(data):
            writer.write_table(piece, row_group_size=ROWS_PER_GROUP)


def _groups(data: Any) -> Iterator[pa.Table]:
    if isinstance(data, pa.Table):
        yield data
        return
    held: list[pa.RecordBatch] = []
    for batch in data:
        held.append(batch)
        if sum(each.num_rows for each in held) >= ROWS_PER_GROUP:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


def _filesystem(url: str, endpoint: S3Endpoint | None) -> tuple[Any, str]:
    from pyarrow import fs

    if endpoint is None:
        return fs.LocalFileSystem(), url
    host = endpoint.endpoint_url.removeprefix("http://")
    filesystem = fs.S3FileSystem(
        access_key=endpoint.key,
        secret_key=endpoint.secret,
        endpoint_override=host,
        scheme="http",
        region=endpoint.region,
    )
    return filesystem, url.removeprefix("s3://")


WRITERS: dict[str, Write] = {
    OURS: ours,
    "deltalake": deltalake,
    "pyarrow.dataset": dataset,
    "pyarrow.fs": one_file,
    "s3fs": one_file_by_s3fs,
}
