"""Files are never left out wrongly.

Filters are drawn at random, and every file with rows that match must be among the files that are planned.
"""

import atexit
import functools
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atomic_manifest as am
from atomic_manifest.data.filter.filter_terms import Terms
from atomic_manifest.data.filter.filters import predicate_expression
from atomic_manifest.data.read.planning import pruner
from atomic_manifest.data.read.reader import to_dataset
from atomic_manifest.log.pruning.predicate import And, IsNull, Not, Or, Predicate
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store import open_store
from tests.data.odd_tables import PARTITIONED, SCHEMA, TABLES, TYPES, VALUES

_ROOT = tempfile.mkdtemp(prefix="planning-")
atexit.register(shutil.rmtree, _ROOT, ignore_errors=True)
CHECKPOINTS = ("no checkpoint", "our checkpoint", "their checkpoint")


@functools.cache
def _made(name: str) -> Path:
    path = Path(tempfile.mkdtemp(dir=_ROOT))
    TABLES[name](str(path))
    return path


@functools.cache
def _snapshot(name: str, checkpoint: str) -> tuple[Snapshot, pa.Table]:
    """A table's state, and all its rows with the paths of their files."""
    path = Path(tempfile.mkdtemp(dir=_ROOT))
    shutil.copytree(_made(name), path, dirs_exist_ok=True)
    if checkpoint == "our checkpoint":
        am.Table.open(path).checkpoint()
    elif checkpoint == "their checkpoint":
        deltalake.DeltaTable(str(path)).create_checkpoint()
    snapshot = load(open_store(path))
    if name != "widened":
        assert (snapshot._replay.base is not None) == (checkpoint != "no checkpoint")
    files = snapshot.files()
    parts = []
    for number, path in enumerate(files["path"].to_pylist()):
        rows = to_dataset(snapshot._store, snapshot, only=files.slice(number, 1)).to_table()
        parts.append(rows.append_column("__path", pa.repeat(path, rows.num_rows)))
    return snapshot, pa.concat_tables(parts)


COLUMNS = [*TYPES, "st.n", "st.deep.t"]
_POOLS = {**VALUES, "st.n": VALUES["i64"], "st.deep.t": VALUES["s"]}


@st.composite
def _leaves(draw: st.DrawFn, terms: Terms) -> Predicate:
    name = draw(st.sampled_from(COLUMNS))
    what = draw(st.sampled_from(["compare", "compare", "in", "null"]))
    if what == "null":
        return IsNull(name)
    values = [each for each in _POOLS[name] if not (isinstance(each, float) and math.isnan(each))]
    if what == "in":
        chosen = draw(st.lists(st.sampled_from(values), max_size=3))
        return terms.membership(name, chosen * draw(st.sampled_from([1, 1, 40])))
    op = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
    return terms.comparison(name, op, draw(st.sampled_from(values)))


def _predicates(snapshot: Snapshot) -> st.SearchStrategy[Predicate]:
    return st.recursive(
        _leaves(Terms(snapshot.schema)),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(lambda each: And(tuple(each)), st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda each: Or(tuple(each)), st.lists(inner, min_size=1, max_size=3)),
        ),
        max_leaves=4,
    )


def _check(snapshot: Snapshot, everything: pa.Table, predicate: Predicate) -> int:
    """Check what is planned; the number of files that are."""
    expression = predicate_expression(predicate, snapshot.schema)
    files = snapshot.files(pruner=pruner(snapshot, predicate))
    matching = everything.filter(expression)
    assert set(matching["__path"].to_pylist()) <= set(files["path"].to_pylist())
    return files.num_rows


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize("name", [name for name in TABLES if name not in PARTITIONED])
def test_no_row_that_matches_is_lost(name: str, checkpoint: str) -> None:
    if checkpoint == "their checkpoint" and name in ("mapped", "widened", "partial statistics"):
        pytest.skip("deltalake cannot write it")
    snapshot, everything = _snapshot(name, checkpoint)

    @settings(max_examples=40, deadline=None, database=None, derandomize=True)
    @given(_predicates(snapshot))
    def run(predicate: Predicate) -> None:
        _check(snapshot, everything, predicate)

    run()


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("name", list(PARTITIONED))
def test_no_row_of_a_partitioned_table_is_lost(name: str, checkpoint: bool) -> None:
    own = CHECKPOINTS[1 if name.startswith("ours") else 2]
    snapshot, everything = _snapshot(name, own if checkpoint else CHECKPOINTS[0])
    column, terms = name.rpartition(" ")[2], Terms(SCHEMA)

    @settings(max_examples=10, deadline=None, database=None, derandomize=True)
    @given(
        _predicates(snapshot),
        st.sampled_from([*VALUES[column], None]),
        st.sampled_from(["=", "<", ">="]),
    )
    def run(predicate: Predicate, value: Any, op: Any) -> None:
        if value is None or math.isnan(value if isinstance(value, float) else 0):
            about: Predicate = IsNull(column)
        else:
            about = terms.comparison(column, op, value)
        for each in (about, Not(about), And((about, predicate)), Or((about, predicate))):
            _check(snapshot, everything, each)

    run()
