"""The guide for users of pandas: every block of Python runs."""

from tests.docs.test_store_guides import run


def test_every_block_of_the_guide_for_pandas_runs():
    names = run("pandas.md")
    assert names["fares"] > 0
    assert names["arrow"].num_rows > 0
