"""`am.write_dataset` against `pyarrow.dataset.write_dataset`: same arguments, same rows afterwards."""

import contextlib
import inspect
import threading

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pytest

import atomic_manifest as am

DATA = pa.table(
    {"year": [2020, 2021, 2022, 2022], "n_legs": [2, 4, 5, 100], "animal": list("abcd")}
)


def content(table: pa.Table) -> list[tuple]:
    return sorted(
        zip(*(table[name].to_pylist() for name in sorted(table.column_names)), strict=True)
    )


def ours(folder) -> list[tuple]:
    return content(am.Table.open(folder).to_arrow())


def theirs(folder) -> list[tuple]:
    flavor = "hive"
    return content(ds.dataset(folder, format="parquet", partitioning=flavor).to_table())


def test_the_signature_is_pyarrow_s_own_and_more():
    mine = inspect.signature(am.write_dataset).parameters
    for name, parameter in inspect.signature(ds.write_dataset).parameters.items():
        assert mine[name].default == parameter.default, name
        assert mine[name].kind == parameter.kind, name
    assert set(mine) - set(inspect.signature(ds.write_dataset).parameters) == {
        "schema_mode",
        "storage_options",
        "callback",
        "progress",
        "env",
    }


# Each case is a sequence of writes; after it both tables must hold the same rows.
OTHER = pa.table({"year": [2022, 2023], "n_legs": [7, 8], "animal": ["e", "f"]})
MODES = ["overwrite_or_ignore", "delete_matching"]
LAYOUTS = [
    None,
    ["year"],
    ["year", "animal"],
    ds.partitioning(pa.schema([("year", pa.int64())]), flavor="hive"),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("behavior", MODES)
@pytest.mark.parametrize("template", [None, "unique"])
def test_existing_data_behavior_means_what_it_means_in_pyarrow(
    tmp_path, layout, behavior, template
):
    for number, data in enumerate([DATA, OTHER, DATA.slice(0, 1)]):
        flavor = "hive" if isinstance(layout, list) else None
        options = {
            "format": "parquet",
            "partitioning": layout,
            "partitioning_flavor": flavor,
            "existing_data_behavior": behavior,
            "basename_template": f"write{number}-{{i}}.parquet" if template else None,
        }
        am.write_dataset(data, tmp_path / "ours", **options)
        ds.write_dataset(data, tmp_path / "theirs", **options)
    assert ours(tmp_path / "ours") == theirs(tmp_path / "theirs")


def test_error_refuses_a_table_that_holds_rows_and_leaves_it(tmp_path):
    am.write_dataset(DATA, tmp_path / "t")
    files = sorted((tmp_path / "t").rglob("*"))
    with pytest.raises(ValueError, match="existing_data_behavior"):
        am.write_dataset(OTHER, tmp_path / "t")
    assert sorted((tmp_path / "t").rglob("*")) == files
    assert ours(tmp_path / "t") == content(DATA)


def test_error_fills_a_table_that_is_empty(tmp_path):
    am.Table.create(tmp_path / "t", DATA.schema)
    assert am.write_dataset(DATA, tmp_path / "t").version == 1


def test_of_writers_that_expect_an_empty_table_exactly_one_wins(tmp_path):
    am.Table.create(tmp_path / "t", DATA.schema)
    barrier = threading.Barrier(4)
    won: list[int] = []

    def write() -> None:
        barrier.wait()
        with contextlib.suppress(am.CommitConflict, am.errors.DataError):
            won.append(am.write_dataset(DATA, tmp_path / "t").version)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert ours(tmp_path / "t") == content(DATA)


def test_plain_files_are_not_hidden_behind_a_new_log(tmp_path):
    ds.write_dataset(DATA, tmp_path / "plain", format="parquet")
    for behavior in ("error", *MODES):
        with pytest.raises(ValueError, match=r"part-0\.parquet"):
            am.write_dataset(DATA, tmp_path / "plain", existing_data_behavior=behavior)
    assert not (tmp_path / "plain" / "_delta_log").exists()


def test_replaced_files_stay_for_readers_of_older_versions(tmp_path):
    am.write_dataset(DATA, tmp_path / "t", partitioning=["year"])
    am.write_dataset(
        OTHER, tmp_path / "t", partitioning=["year"], existing_data_behavior="delete_matching"
    )
    assert content(am.Table.open(tmp_path / "t", version=0).to_arrow()) == content(DATA)


def test_file_visitor_is_told_each_file_with_its_parquet_metadata(tmp_path):
    seen: list[ds.WrittenFile] = []
    am.write_dataset(DATA, tmp_path / "t", partitioning=["year"], file_visitor=seen.append)
    assert len(seen) == 3
    assert sum(file.metadata.num_rows for file in seen) == 4
    for file in seen:
        assert pafs.LocalFileSystem().get_file_info(file.path).size == file.size
        assert file.path.endswith(file.metadata.row_group(0).column(0).file_path)


def test_rows_per_file_and_group_are_honoured(tmp_path):
    data = pa.table({"x": range(100)})
    seen: list[ds.WrittenFile] = []
    am.write_dataset(
        data, tmp_path / "t", max_rows_per_file=40, max_rows_per_group=15, file_visitor=seen.append
    )
    assert [file.metadata.num_rows for file in seen] == [40, 40, 20]
    groups = [
        file.metadata.row_group(number).num_rows
        for file in seen
        for number in range(file.metadata.num_row_groups)
    ]
    assert max(groups) <= 15


def test_basename_template_names_the_files(tmp_path):
    am.write_dataset(DATA, tmp_path / "t", basename_template="mine-{i}.parquet")
    (file,) = (tmp_path / "t").glob("*.parquet")
    assert file.name.startswith("mine-0")


def test_file_options_reach_the_file(tmp_path):
    options = ds.ParquetFileFormat().make_write_options(compression="gzip", use_dictionary=False)
    seen: list[ds.WrittenFile] = []
    am.write_dataset(DATA, tmp_path / "t", file_options=options, file_visitor=seen.append)
    assert seen[0].metadata.row_group(0).column(0).compression == "GZIP"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"format": "csv"}, "csv"),
        ({"file_options": ds.CsvFileFormat().make_write_options()}, "Parquet"),
        ({"existing_data_behavior": "append"}, "append"),
        ({"basename_template": "part.parquet"}, "basename_template"),
        ({"partitioning": ["nope"]}, "nope"),
        ({"partitioning": ds.partitioning(flavor="hive")}, "Factory"),
        ({"partitioning": "year"}, "year"),
        ({"partitioning": ["animal"], "max_partitions": 3}, "max_partitions"),
        ({"partitioning_flavor": "hive", "partitioning": LAYOUTS[3]}, "partitioning_flavor"),
    ],
)
def test_an_argument_that_cannot_be_honoured_is_named_and_nothing_is_written(
    tmp_path, arguments, named
):
    with pytest.raises(ValueError, match=named):
        am.write_dataset(DATA, tmp_path / "t", **arguments)
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob("*.json"))


def test_every_kind_of_data_pyarrow_takes_is_taken(tmp_path):
    batches = DATA.to_batches()
    dataset = ds.dataset(DATA)
    for number, (data, schema) in enumerate(
        [
            (DATA, None),
            (batches[0], None),
            (DATA.to_reader(), None),
            ([DATA, DATA.slice(0, 0)], None),
            (dataset, None),
            (dataset.scanner(filter=ds.field("year") > 0), None),
            ((batch for batch in batches), DATA.schema),
        ]
    ):
        am.write_dataset(data, tmp_path / f"t{number}", schema=schema)
        assert ours(tmp_path / f"t{number}") == content(DATA)


def test_filesystems_of_pyarrow_and_fsspec(tmp_path):
    import fsspec

    am.write_dataset(DATA, str(tmp_path / "a"), filesystem=pafs.LocalFileSystem())
    am.write_dataset(DATA, str(tmp_path / "b"), filesystem=fsspec.filesystem("file"))
    below = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    am.write_dataset(DATA, "c", filesystem=below)
    for name in ("a", "b", "c"):
        assert ours(tmp_path / name) == content(DATA)
    with pytest.raises(am.errors.UnsupportedByStore, match="_MockFileSystem"):
        am.write_dataset(DATA, "d", filesystem=pafs._MockFileSystem())
    with pytest.raises(am.errors.UnsupportedByStore, match="looks first"):
        am.write_dataset(DATA, "d", filesystem=fsspec.filesystem("memory"))


def test_a_partition_is_replaced_whatever_text_another_engine_gave_its_value(tmp_path):
    """Spark writes timestamp partitions without zone; delta-rs and we write ISO 8601 in UTC."""
    import json
    from datetime import UTC, datetime

    data = pa.table({"at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)]), "x": [1]})
    am.write_dataset(data, tmp_path / "t", partitioning=["at"])
    entry = tmp_path / "t" / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in entry.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["partitionValues"]["at"] = "2026-01-01 00:00:00"
    theirs = [line for line in lines if "commitInfo" not in line]
    entry.write_text("\n".join(map(json.dumps, theirs)))
    am.write_dataset(
        data, tmp_path / "t", partitioning=["at"], existing_data_behavior="delete_matching"
    )
    assert am.Table.open(tmp_path / "t").files().num_rows == 1
