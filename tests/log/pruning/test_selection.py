"""Files sorted by what a predicate means for them: all at once, or one by one."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_manifest.data.read.physical import described
from atomic_manifest.log.columns import FILES
from atomic_manifest.log.pruning.pruner import Pruner
from atomic_manifest.ops.selection import select
from tests.log.pruning.test_predicate import (
    SCHEMA,
    TYPES,
    our_facts,
    predicates,
    rows_of_one_file,
    spark_facts,
)


def files_of(facts) -> pa.Table:
    rows = [
        {
            "path": str(n),
            "partition_values": list(known.partition_values.items()),
            "stats": known.stats,
        }
        for n, known in enumerate(facts)
    ]
    return pa.Table.from_pylist(rows, schema=FILES)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows_of_one_file(), min_size=1, max_size=5), predicates, st.booleans())
def test_what_a_pruner_spares_makes_no_difference(tables, predicate, of_spark):
    tables = [table for table in tables if table.num_rows]
    facts = [(spark_facts if of_spark else our_facts)(table) for table in tables]
    files = files_of(facts)
    pruner = Pruner(predicate, described(SCHEMA), ["p"])
    one_by_one = select(files, predicate, TYPES)
    at_once = select(pa.concat_tables([files, files]), predicate, TYPES, pruner)
    for found, expected in (
        (at_once.whole, one_by_one.whole),
        (at_once.partly, one_by_one.partly),
    ):
        assert found.equals(pa.concat_tables([expected, expected]))
