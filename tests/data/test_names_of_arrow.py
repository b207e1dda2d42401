"""Rows that nobody could read again, for Arrow's datasets have columns of these names, are refused."""

import pytest

import atomic_manifest as am
from atomic_manifest.errors import InvalidSchema


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize(
    "name", ["__filename", "__fragment_index", "__batch_index", "__last_in_fragment"]
)
def test_a_column_called_as_one_of_arrows_own_is_refused(name: str, partitioned: bool) -> None:
    url = f"memory://names-of-arrow-{name}-{partitioned}"
    with pytest.raises(InvalidSchema, match=name):
        am.append(url, {name: ["a"], "x": [1]}, partition_by=[name] if partitioned else ())
    assert not am.Table.exists(url)
