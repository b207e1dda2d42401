"""The libraries that benchmarks compare, each behind the same few calls."""

from typing import Any, Protocol

import pyarrow as pa

from benchmarks.endpoint import S3Endpoint


class Contestant(Protocol):
    """One library at work on one table."""

    def create(self, schema: pa.Schema) -> None:
        """Create the table."""
        ...

    def open(self) -> None:
        """Take the handle that the following appends use, on the table's latest version."""
        ...

    def append(self, data: pa.Table) -> None:
        """Commit the rows as one new version."""
        ...


class AtomicManifest:
    """This library."""

    def __init__(self, endpoint: S3Endpoint, url: str) -> None:
        self._url, self._options = url, endpoint.storage_options
        self._table: Any = None

    def create(self, schema: pa.Schema) -> None:
        """See `Contestant.create`."""
        import atomic_manifest as am

        am.Table.create(self._url, schema=schema, storage_options=self._options)

    def open(self) -> None:
        """See `Contestant.open`."""
        import atomic_manifest as am

        self._table = am.Table.open(self._url, storage_options=self._options)

    def append(self, data: pa.Table) -> None:
        """See `Contestant.append`."""
        self._table.append(data)


class DeltaLake:
    """The `deltalake` package, with one `DeltaTable` held open."""

    def __init__(self, endpoint: S3Endpoint, url: str) -> None:
        self._url, self._options = url, endpoint.deltalake_options
        self._table: Any = None

    def create(self, schema: pa.Schema) -> None:
        """See `Contestant.create`."""
        import deltalake

        deltalake.DeltaTable.create(self._url, schema, storage_options=self._options)

    def open(self) -> None:
        """See `Contestant.open`."""
        import deltalake

        self._table = deltalake.DeltaTable(self._url, storage_options=self._options)

    def append(self, data: pa.Table) -> None:
        """See `Contestant.append`."""
        import deltalake

        deltalake.write_deltalake(self._table, data, mode="append")


CONTESTANTS: dict[str, type[AtomicManifest] | type[DeltaLake]] = {
    "atomic_manifest": AtomicManifest,
    "deltalake": DeltaLake,
}
