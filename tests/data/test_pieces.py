import os

import pyarrow as pa
import pytest

from atomic_manifest.data.write.partitioning import split

ROWS = 1 << 18


@pytest.mark.parametrize("processors", [1, 3, 16])
def test_parts_come_in_the_same_pieces_however_many_processors_there_are(
    processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pa.table(
        {"p": [number % 2 for number in range(ROWS)], "x": [0.0] * ROWS, "y": range(ROWS)}
    )

    def pieces() -> list[int]:
        return [piece.num_rows for _, piece in split(rows, ["p"], ["x", "y"])]

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    expected = pieces()
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert pieces() == expected
