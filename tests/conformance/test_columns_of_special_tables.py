"""Which columns are read makes no difference to how many rows there are, deletion vectors or not."""

import pyarrow as pa
import pytest

import atomic_manifest as am
from tests.conformance.conftest import HandMade, column, inline


@pytest.fixture
def table(made: HandMade) -> am.Table:
    made.create(
        [column("id", "long")],
        features=["deletionVectors"],
        delta__enableDeletionVectors="true",
    )
    made.commit(
        made.file(pa.table({"id": range(10)}), vector=inline([0, 9])),
        made.file(pa.table({"id": range(100, 102)})),
    )
    return made.open()


def test_rows_are_counted_where_no_column_is_asked_for(table: am.Table) -> None:
    assert table.to_batches([]).read_all().num_rows == 10
    assert table.to_arrow([]).num_rows == 10
    assert table.to_arrow([], filter="id > 5").num_rows == 5
    assert table.to_dataset().to_table(columns=[]).num_rows == 10
    assert table.to_dataset().count_rows() == 10
