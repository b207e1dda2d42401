"""The libraries that benchmarks compare, each behind the same few calls."""

from typing import Any, Protocol

import pyarrow as pa

from atomic_manifest.commit.messages import Budget
from benchmarks.contents import Contents, delta_contents, lance_contents
from benchmarks.endpoint import S3Endpoint


class Contestant(Protocol):
    """One library at work on one table, through one handle that its threads share."""

    def __init__(self, endpoint: S3Endpoint, url: str) -> None: ...

    def create(self, schema: pa.Schema) -> None:
        """Create the table."""
        ...

    def open(self) -> None:
        """Take the handle that the following appends use, on the table's latest version."""
        ...

    def append(self, data: pa.Table) -> str:
        """Commit the rows as one new version; return the commit's id, empty if it has none."""
        ...

    def contents(self) -> Contents:
        """What the table holds."""
        ...


class AtomicManifest:
    """This library; `budget` bounds each of its commits, which are bounded generously without."""

    def __init__(self, endpoint: S3Endpoint, url: str, budget: Budget | None = None) -> None:
        self._endpoint, self._url, self._budget = endpoint, url, budget
        self._options = endpoint.storage_options
        self._table: Any = None

    def create(self, schema: pa.Schema) -> None:
        """See `Contestant.create`."""
        import atomic_manifest as am

        am.Table.create(self._url, schema=schema, storage_options=self._options)

    def open(self) -> None:
        """See `Contestant.open`."""
        import atomic_manifest as am

        self._table = am.Table.open(self._url, storage_options=self._options, budget=self._budget)

    def append(self, data: pa.Table) -> str:
        """See `Contestant.append`."""
        commit_id: str = self._table.append(data).commit_id
        return commit_id

    def contents(self) -> Contents:
        """See `Contestant.contents`."""
        return delta_contents(self._endpoint, self._url)


class DeltaLake:
    """The `deltalake` package, with one `DeltaTable` held open."""

    def __init__(self, endpoint: S3Endpoint, url: str) -> None:
        self._endpoint, self._url = endpoint, url
        self._options = endpoint.deltalake_options
        self._table: Any = None

    def create(self, schema: pa.Schema) -> None:
        """See `Contestant.create`."""
        import deltalake

        deltalake.DeltaTable.create(self._url, schema, storage_options=self._options)

    def open(self) -> None:
        """See `Contestant.open`."""
        import deltalake

        self._table = deltalake.DeltaTable(self._url, storage_options=self._options)

    def append(self, data: pa.Table) -> str:
        """See `Contestant.append`."""
        import deltalake

        deltalake.write_deltalake(self._table, data, mode="append")
        return ""

    def contents(self) -> Contents:
        """See `Contestant.contents`."""
        return delta_contents(self._endpoint, self._url)


class Lance:
    """Lance (`pylance`), going on from the dataset that the last append returned."""

    def __init__(self, endpoint: S3Endpoint, url: str) -> None:
        self._endpoint, self._url = endpoint, url
        self._options = endpoint.lance_options
        self._dataset: Any = None

    def create(self, schema: pa.Schema) -> None:
        """See `Contestant.create`."""
        import lance

        lance.write_dataset(schema.empty_table(), self._url, storage_options=self._options)

    def open(self) -> None:
        """See `Contestant.open`."""
        import lance

        self._dataset = lance.dataset(self._url, storage_options=self._options)

    def append(self, data: pa.Table) -> str:
        """See `Contestant.append`."""
        import lance

        self._dataset = lance.write_dataset(data, self._dataset, mode="append")
        return ""

    def contents(self) -> Contents:
        """See `Contestant.contents`."""
        return lance_contents(self._endpoint, self._url)


CONTESTANTS: dict[str, type[Contestant]] = {
    "atomic_manifest": AtomicManifest,
    "deltalake": DeltaLake,
    "lance": Lance,
}
