"""Any sequence of operations, through handles old and new, against a list of rows.

The model is the history of the table: for each version the rows it holds. Everything here happens one
after the other, so each operation is to have the effect it has on the newest rows; only a transaction
that was begun on an older version may be refused instead, and only if rows that it read were changed.
"""

import itertools
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

import atomic_manifest as am

SCHEMA = pa.schema([("part", pa.string()), ("key", pa.int64()), ("value", pa.int64())])
FRESH = itertools.count()

Row = tuple[str | None, int, int | None]

parts = st.sampled_from(["a", "b", None])
keys = st.integers(0, 5)
some_rows = st.lists(st.tuples(parts, keys, st.none() | st.integers(0, 3)), min_size=1, max_size=4)


def table_of(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def rows_of(data: pa.Table) -> Counter[Row]:
    return Counter(zip(*(column.to_pylist() for column in data.columns), strict=True))


class Where:
    """A filter as text and as the function that it means."""

    def __init__(self, text, holds) -> None:
        self.text = text
        self.holds = holds

    def __repr__(self) -> str:
        return self.text


def _compared(column: int, op: str, value: int) -> Where:
    test = {
        "=": lambda v: v == value,
        "<": lambda v: v < value,
        ">=": lambda v: v >= value,
        "!=": lambda v: v != value,
    }[op]
    name = SCHEMA.names[column]
    return Where(f"{name} {op} {value}", lambda row: row[column] is not None and test(row[column]))


wheres = st.one_of(
    st.builds(_compared, st.sampled_from([1, 2]), st.sampled_from(["=", "<", ">=", "!="]), keys),
    st.sampled_from(
        [
            Where("part = 'a'", lambda row: row[0] == "a"),
            Where("part is null", lambda row: row[0] is None),
            Where("value is null", lambda row: row[2] is None),
            Where(
                "not (part = 'b' and value > 1)",
                lambda row: row[0] not in ("b", None) or (row[2] is not None and row[2] <= 1),
            ),
        ]
    ),
)


class TableMachine(RuleBasedStateMachine):
    """See the module docstring."""

    handles = Bundle("handles")

    @initialize(target=handles, partitioned=st.booleans())
    def create(self, partitioned):
        self.url = f"memory://stateful-{next(FRESH)}"
        self.partitioned = partitioned
        self.states: list[Counter[Row]] = [Counter()]
        return am.Table.create(self.url, SCHEMA, partition_by=["part"] if partitioned else [])

    @property
    def now(self) -> Counter[Row]:
        return self.states[-1]

    def becomes(self, rows, result) -> None:
        assert result.version == len(self.states)
        self.states.append(Counter(rows))

    def without(self, where: Where) -> Counter[Row]:
        return Counter({row: n for row, n in self.now.items() if not where.holds(row)})

    # --- handles ---

    @rule(target=handles)
    def open_another(self):
        return am.Table.open(self.url)

    @rule(target=handles, data=st.data())
    def open_the_past(self, data):
        version = data.draw(st.integers(0, len(self.states) - 1))
        table = am.Table.open(self.url, version=version)
        assert rows_of(table.to_arrow()) == self.states[version]
        return table

    @rule(handle=handles)
    def refresh(self, handle):
        assert rows_of(handle.refresh().to_arrow()) == self.now

    @rule(handle=handles)
    def checkpoint(self, handle):
        handle.refresh().checkpoint()

    # --- operations ---

    @rule(handle=handles, rows=some_rows)
    def append(self, handle, rows):
        self.becomes(self.now + Counter(rows), handle.append(table_of(rows)))

    @rule(handle=handles, rows=some_rows | st.just([]))
    def overwrite(self, handle, rows):
        self.becomes(Counter(rows), handle.overwrite(table_of(rows)))

    @rule(handle=handles, rows=some_rows, where=wheres)
    def overwrite_where(self, handle, rows, where):
        if not all(map(where.holds, rows)):
            with pytest.raises(am.errors.DataError, match="do not match"):
                handle.overwrite(table_of(rows), where=where.text)
            rows = list(filter(where.holds, rows))
        after = self.without(where)
        result = handle.overwrite(table_of(rows), where=where.text)
        if not rows and after == self.now:
            assert result.version <= len(self.states) - 1
            return
        assert result.rows_deleted == (self.now - after).total()
        self.becomes(after + Counter(rows), result)

    @rule(handle=handles, rows=some_rows)
    def overwrite_partitions(self, handle, rows):
        if not self.partitioned:
            return
        written = {row[0] for row in rows}
        kept = Counter({row: n for row, n in self.now.items() if row[0] not in written})
        self.becomes(kept + Counter(rows), handle.overwrite(table_of(rows), partitions="dynamic"))

    @rule(handle=handles, where=wheres)
    def delete(self, handle, where):
        after = self.without(where)
        result = handle.delete(where.text)
        assert result.rows_deleted == (self.now - after).total()
        if after == self.now:
            assert result.version == handle.version == len(self.states) - 1
        else:
            self.becomes(after, result)

    @rule(handle=handles, where=wheres, rows=some_rows, other=wheres, reads=st.booleans())
    def transact(self, handle, where, rows, other, reads):
        try:
            with handle.transaction() as tx:
                began = handle.version  # one opened in the past has moved to the latest
                seen = self.states[began]
                tx.append(table_of(rows))
                mine = seen + Counter(rows)
                if reads:
                    read = rows_of(tx.read(filter=where.text))
                    assert read == Counter({r: n for r, n in mine.items() if where.holds(r)})
                tx.delete(other.text)
                mine = Counter({r: n for r, n in mine.items() if not other.holds(r)})
                assert rows_of(tx.read()) == mine if reads else True
        except am.CommitConflict:
            assert began < len(self.states) - 1
            return
        if tx.result is None:
            assert mine == seen
            return
        if reads:
            assert self.now == seen, "the whole table was read, and it has changed since"
        self.becomes(
            Counter({r: n for r, n in (self.now + Counter(rows)).items() if not other.holds(r)}),
            tx.result,
        )

    @rule(handle=handles, key=keys)
    def increment(self, handle, key):
        where = Where(f"key = {key}", lambda row: row[1] == key)

        def body(tx: am.Transaction) -> list[Row]:
            found = [*rows_of(tx.read(filter=where.text)).elements()]
            rows = [(part, key, (value or 0) + 1) for part, _, value in found] or [("a", key, 0)]
            tx.overwrite(table_of(rows), where=where.text)
            return rows

        outcome = handle.run(body)
        self.becomes(self.without(where) + Counter(outcome.value), outcome.commit)

    @invariant()
    def the_table_holds_what_the_model_does(self):
        table = am.Table.open(self.url)
        assert table.version == len(self.states) - 1
        assert rows_of(table.to_arrow()) == self.now


TableMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestTable = TableMachine.TestCase
