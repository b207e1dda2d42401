"""delta-rs writes files again with texts and bytes as Arrow views: their rows are found by filters."""

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from fsspec.callbacks import Callback

import atomic_manifest as am
from atomic_manifest.data.filter.filters import to_expression

pytestmark = pytest.mark.interop

DATA = pa.table({"id": pa.array(range(6), pa.int64()), "name": [*"abcdef"]})
REWRITES = {
    "delete": lambda theirs: theirs.delete("id = 99 OR id = 0"),
    "update": lambda theirs: theirs.update({"id": "0"}, predicate="name = 'a'"),
    "merge": lambda theirs: (
        theirs.merge(DATA, "t.id = s.id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .execute()
    ),
}
FILTERS = [
    "name = 'b'",
    "name > 'c'",
    "name IN ('b', 'zz')",
    "name <> 'b' AND id > 0",
    [("name", ">=", "d")],
    (pc.field("name") == "e"),
]


@pytest.fixture(params=REWRITES.values(), ids=REWRITES)
def url(tmp_path, request) -> str:
    deltalake.write_deltalake(str(tmp_path / "t"), DATA)
    request.param(deltalake.DeltaTable(str(tmp_path / "t")))
    return str(tmp_path / "t")


@pytest.mark.parametrize("where", FILTERS, ids=str)
def test_a_filter_on_text_finds_the_rows_however_they_are_read(url, where):
    table = am.Table.open(url)
    rows = table.to_arrow()
    matching = rows.filter(to_expression(where, rows.schema))
    expected = sorted(matching["id"].to_pylist())
    assert expected
    assert sorted(table.to_arrow(filter=where)["id"].to_pylist()) == expected
    assert sorted(table.to_arrow(["id"], filter=where)["id"].to_pylist()) == expected
    assert sorted(table.to_arrow(filter=where, callback=Callback())["id"].to_pylist()) == expected
    assert sorted(table.to_batches(filter=where).read_all()["id"].to_pylist()) == expected
    assert sorted(am.read_table(url, filters=where)["id"].to_pylist()) == expected
    with table.transaction() as tx:
        assert sorted(tx.read(filter=where)["id"].to_pylist()) == expected


def test_a_large_file_is_searched_by_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr("atomic_manifest.data.read.stream._WHOLE_BYTES", 0)
    url = str(tmp_path / "t")
    deltalake.write_deltalake(url, DATA)
    deltalake.DeltaTable(url).delete("id = 0")
    assert am.Table.open(url).to_arrow(filter="name = 'c'")["id"].to_pylist() == [2]
