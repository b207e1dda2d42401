"""Numbers, names and times of NumPy, pandas and ISO 8601 wherever the library takes one."""

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError, VersionNotFound
from tests.table.conftest import SCHEMA, ids, rows


@pytest.fixture
def versions(table) -> am.Table:
    table.append(rows(1))
    table.append(rows(2))
    return table


@pytest.mark.parametrize(
    "version", [1, np.int64(1), np.uint8(1), pd.Series([1])[0], pa.scalar(1), np.array(1)]
)
def test_a_version_is_any_whole_number(versions, version):
    assert ids(am.Table.open(versions.url, version=version)) == [1]
    assert am.read_table(versions.url, version=version).num_rows == 1
    assert len(am.pandas.read_table(versions.url, version=version)) == 1


LATER = datetime.now().astimezone() + timedelta(days=2)


@pytest.mark.parametrize(
    "time",
    [
        LATER,
        LATER.isoformat(),
        LATER.strftime("%Y-%m-%d"),
        LATER.strftime("%Y%m%dT%H%M%SZ"),
        LATER.date(),
        pd.Timestamp(LATER),
        pd.Timestamp(LATER).tz_localize(None),
        np.datetime64(LATER.replace(tzinfo=None)),
        np.datetime64(LATER.replace(tzinfo=None), "ns"),
        np.datetime64(LATER.date(), "D"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_time_is_whatever_says_one(versions, time):
    assert ids(am.Table.open(versions.url, version=time)) == [1, 2]


@pytest.mark.parametrize("time", ["2001-01-01", "2001-01-01T00:00:00Z", date(2001, 1, 1)])
def test_a_time_before_the_first_commit_is_no_version(versions, time):
    with pytest.raises(VersionNotFound):
        am.Table.open(versions.url, version=time)


@pytest.mark.parametrize(
    "version",
    ["1", "latest", "", 1.0, 1.5, True, np.True_, pd.NaT, np.datetime64("NaT"), float("nan"), [1]],
)
def test_what_is_neither_is_refused(versions, version):
    with pytest.raises(DataError, match="version is a number, or a time"):
        am.Table.open(versions.url, version=version)


def test_sizes_and_counts_are_any_whole_numbers(table):
    options = am.WriteOptions(
        max_rows_per_group=np.int64(1),
        target_file_size=np.int32(10),
        part_size=8e6,
        buffer_size=1e6,
    )
    assert options.part_size == 8_000_000
    assert type(options.max_rows_per_group) is int
    table.append(rows(1, 2), options=options)
    table.run(lambda tx: tx.append(rows(3)), attempts=np.int64(2))
    assert [record.version for record in table.history(np.int64(1))] == [2]
    with pytest.raises(DataError, match=r"part_size is a whole number, got 1\.5"):
        am.WriteOptions(part_size=1.5)
    with pytest.raises(DataError, match="attempts is a whole number"):
        table.run(lambda tx: None, attempts="2")


def test_names_and_numbers_of_numpy_are_in_the_log_as_others_write_them(tmp_path):
    table = am.Table.create(
        tmp_path / "t",
        SCHEMA,
        partition_by=np.array(["name"]),
        configuration={np.str_("user.note"): np.str_("text")},
        name=np.str_("named"),
        description=np.str_("described"),
    )
    info = {"rate": np.float64(1.5), "count": np.int64(2), "at": pd.Timestamp("2026-01-01")}
    table.append(rows(1), txn=(np.str_("loader"), np.int64(7)), commit_info=info)
    assert table.append(rows(1), txn=("loader", 7)).already_committed
    again = am.Table.open(table.url)
    metadata = again._handle.snapshot.metadata
    assert (metadata.name, metadata.description) == ("named", "described")
    assert metadata.configuration["user.note"] == "text"
    record = next(again.history(1))
    assert record.commits[0].info == {"rate": 1.5, "count": 2, "at": "2026-01-01T00:00:00"}


@pytest.mark.parametrize("version", [1.0, 1.5, "7", None, np.True_, np.float64(0.5)])
def test_a_txn_version_that_is_no_whole_number_is_refused(table, version):
    with pytest.raises(DataError, match="txn"):
        table.append(rows(1), txn=("loader", version))
