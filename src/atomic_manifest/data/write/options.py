"""How data files are written: one immutable value, checked when it is made.

Error semantics: `DataError` naming the option, before anything is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from atomic_manifest.arguments import whole_number
from atomic_manifest.errors import DataError

_OURS = frozenset({"where", "schema", "filesystem", "metadata_collector", "encryption_properties"})
# Each of these changes values, names or types behind the table's back.
_UNFAITHFUL = frozenset(
    {
        "allow_truncated_timestamps",
        "coerce_timestamps",
        "flavor",
        "use_deprecated_int96_timestamps",
        "write_time_adjusted_to_utc",
    }
)


CODEC = "zstd"

_NUMBERS = (
    "max_rows_per_group",
    "min_rows_per_group",
    "target_file_size",
    "max_rows_per_file",
    "max_open_files",
    "part_size",
    "buffer_size",
    "indexed_columns",
)


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How rows become files.

    Attributes:
        compression: Parquet codec of all columns (`zstd`, `snappy`, `lz4`, `gzip`, `brotli`, `none`).
        max_rows_per_group: A row group has at most this many rows.
        min_rows_per_group: A row group is only written below this many rows at the end of a file or
            when `buffer_size` is used up.
        target_file_size: Bytes after which the next file is begun, at the end of a row group; None: never.
        max_rows_per_file: A file has at most this many rows; 0: no limit.
        max_open_files: Uploads under way at once in a partitioned write, besides a few that are being
            finished; beyond, the file that was not written to for longest is. Rows of more partitions
            than that, in no order, wait on the local disk until their row group is whole (where the
            standard library's `tempfile` puts things).
        part_size: Bytes of one part of a multipart upload, which an open file may hold back; smaller
            files are one PUT. At most 1 MiB on local disk.
        buffer_size: Bytes of rows held back, over all partitions, to make row groups large. Up to half as
            much again is being encoded meanwhile, and as much being split by partition.
        indexed_columns: How many leaf columns get statistics, -1 for all; None leaves it to the table
            (`delta.dataSkippingStatsColumns`, `delta.dataSkippingNumIndexedCols`).
        parquet: Further arguments of `pyarrow.parquet.ParquetWriter`; they win over ours.
    """

    compression: str = CODEC
    max_rows_per_group: int = 1_048_576
    min_rows_per_group: int = 0
    target_file_size: int | None = 256 << 20
    max_rows_per_file: int = 0
    max_open_files: int = 256
    part_size: int = 8 << 20
    buffer_size: int = 256 << 20
    indexed_columns: int | None = None
    parquet: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            if (given := getattr(self, name)) is not None:
                whole = int(given) if isinstance(given, float) and given.is_integer() else given
                object.__setattr__(self, name, whole_number(name, whole))
        least = {"max_rows_per_group": 1, "max_open_files": 1, "part_size": 1, "buffer_size": 1}
        for name in ("min_rows_per_group", "max_rows_per_file"):
            least[name] = 0
        if self.target_file_size is not None:
            least["target_file_size"] = 1
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise DataError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        if self.min_rows_per_group > self.max_rows_per_group:
            raise DataError(
                f"min_rows_per_group {self.min_rows_per_group} exceeds max_rows_per_group "
                f"{self.max_rows_per_group}"
            )
        object.__setattr__(self, "parquet", _bound(self.parquet))

    @property
    def writes_indexes(self) -> bool:
        """Whether anything stands in a file between the data and the footer."""
        return any(self.parquet.get(name) for name in ("write_page_index", "bloom_filter_options"))

    def writer_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `pyarrow.parquet.ParquetWriter`."""
        return {"compression": self.compression, "version": "2.6"} | dict(self.parquet)


def _bound(parquet: Any) -> dict[str, Any]:
    """Parquet options for many files: an iterator has its values for one."""
    if not isinstance(parquet, Mapping):
        raise DataError(f"parquet maps options to values, got {parquet!r}")
    for name, value in parquet.items():
        if name in _OURS or (name in _UNFAITHFUL and value):
            raise DataError(f"Parquet option {name!r} cannot be set on a table's files")
    return {
        name: list(value) if isinstance(value, Iterator) else value
        for name, value in parquet.items()
    }
