"""A level of an index that is called as another column is refused: it would become `__index_level_0__`."""

import pandas as pd
import pytest

import atomic_manifest as am
from atomic_manifest.errors import DataError

FRAME = pd.DataFrame({"a": [5, 7]})
LEVELS = pd.MultiIndex.from_tuples([(1, 2), (3, 5)], names=["k", "k"])


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    "frame",
    [FRAME.set_axis(pd.Index([1, 9], name="a")), FRAME.set_axis(LEVELS)],
    ids=["column", "level"],
)
def test_a_level_called_as_another_column_is_refused_by_name(
    frame: pd.DataFrame, exists: bool
) -> None:
    url = f"memory://repeated-levels-{frame.index.nlevels}-{exists}"
    if exists:
        am.append(url, FRAME)
    mode = "merge" if exists else None
    with pytest.raises(DataError, match="index level '(a|k)' has the name of another column"):
        am.append(url, frame, schema_mode=mode)
    am.append(url, frame, preserve_index=False)
    assert am.Table.open(url).schema.names == ["a"]
