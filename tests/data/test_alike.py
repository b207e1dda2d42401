"""Which row groups are looked at for columns worth a dictionary."""

import pyarrow as pa
import pytest

from atomic_manifest.data.write.alike import Alike
from atomic_manifest.data.write.encoder import RowGroupEncoder
from atomic_manifest.data.write.options import WriteOptions
from atomic_manifest.data.write.row_group import RowGroup, Rows, spill

SCHEMA = pa.schema([("x", pa.int64()), ("s", pa.string())])


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that were looked at."""
    numbers: list[int] = []
    found = RowGroupEncoder.worth_dictionary

    def recorded(self: RowGroupEncoder, rows: pa.Table) -> object:
        numbers.append(rows.num_rows)
        return found(self, rows)

    monkeypatch.setattr(RowGroupEncoder, "worth_dictionary", recorded)
    return numbers


def rows(count: int, *, repeating: bool = True, text: str = "") -> Rows:
    strings = [f"{text}{0 if repeating else number}" for number in range(count)]
    batch = pa.record_batch([range(count), strings], schema=SCHEMA)
    return Rows([batch], count, batch.nbytes)


def alike(**options: object) -> Alike:
    return Alike(RowGroupEncoder(SCHEMA, WriteOptions(parquet=options)))


def test_one_of_sixteen_of_about_a_size_is_looked_at(looked: list[int]) -> None:
    asked = alike()
    found = [asked.dictionaries(rows(100 + number)) for number in range(28)]
    assert (found, looked) == ([["s"]] * 28, [100, 116])
    assert asked.dictionaries(rows(1000)) == ["s"]
    assert asked.dictionaries(rows(100)) == ["s"]
    assert looked == [100, 116, 1000]


def test_what_changes_on_the_way_is_found_after_sixteen(looked: list[int]) -> None:
    asked = alike()
    given = [rows(100, repeating=number < 20) for number in range(48)]
    found = [asked.dictionaries(each) for each in given]
    assert found == [["s"]] * 32 + [[]] * 16
    assert len(looked) == 3


def test_large_row_groups_are_looked_at_by_whoever_encodes_them(looked: list[int]) -> None:
    large = rows(100, text="x" * (1 << 16))
    assert large.nbytes > 4 << 20
    assert alike().dictionaries(large) is None
    assert looked == []


def test_rows_that_wait_on_disk_are_looked_at_and_can_still_be_taken(looked: list[int]) -> None:
    group = RowGroup(WriteOptions())
    for piece in rows(100).pieces:
        group.add(piece)
    run = spill([group])
    waiting = group.take()
    assert alike().dictionaries(waiting) == ["s"]
    assert waiting.take().num_rows == 100
    run.close()
    assert looked == [100]


def test_what_the_caller_says_of_dictionaries_wins() -> None:
    asked = alike(use_dictionary=["x"])
    assert asked.dictionaries(rows(100)) == ()
    encoder = RowGroupEncoder(SCHEMA, WriteOptions(parquet={"use_dictionary": ["x"]}))
    group = encoder.encode(rows(100).read(), ()).metadata.row_group(0)
    assert [group.column(n).has_dictionary_page for n in range(2)] == [True, False]
