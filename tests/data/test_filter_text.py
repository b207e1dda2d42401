"""Filters as text: what they mean, and how what is none is refused."""

import contextlib
import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.data.filter.filter_terms import Terms
from atomic_manifest.data.filter.filter_text import parse
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.pruning.predicate import (
    And,
    Comparison,
    Everything,
    In,
    IsNull,
    Not,
    Nothing,
    Or,
)

SCHEMA = pa.schema(
    [
        ("a", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("ok", pa.bool_()),
        ("date", pa.date32()),
        ("t", pa.timestamp("us", tz="UTC")),
        ("wall", pa.timestamp("us")),
        ("m", pa.decimal128(10, 2)),
        ("n", pa.struct([("i", pa.int32()), ("q.r", pa.struct([("s", pa.string())]))])),
        ("Odd `name`", pa.int64()),
        ("grün", pa.int64()),
        ("x.y", pa.int64()),
        ("raw", pa.binary()),
        ("list", pa.list_(pa.int64())),
        ("and", pa.int64()),
    ]
)
TERMS = Terms(SCHEMA)
A1, A2, A3 = (Comparison("a", "=", number) for number in (1, 2, 3))
A1_TO_2 = And((Comparison("a", ">=", 1), Comparison("a", "<=", 2)))
DAY = dt.date(2026, 1, 2)
MIDNIGHT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
MORNING = dt.datetime(2026, 1, 2, 3, 4, 5, 600000)


@pytest.mark.parametrize(
    ("text", "predicate"),
    [
        *[(f"a {op} 1", Comparison("a", op, 1)) for op in ("=", "!=", "<", "<=", ">", ">=")],
        ("a == 1", A1),
        ("a <> 1", Comparison("a", "!=", 1)),
        ("a=1", A1),
        ("  a\n=\t1  \n", A1),
        ("a = -1", Comparison("a", "=", -1)),
        ("a = +1", A1),
        ("a > -9223372036854775808", Comparison("a", ">", -(2**63))),
        ("f = .5", Comparison("f", "=", 0.5)),
        ("f = 5.", Comparison("f", "=", 5.0)),
        ("f < 1.5e-3", Comparison("f", "<", 0.0015)),
        ("m = 0.10", Comparison("m", "=", Decimal("0.10"))),
        ("m = '0.10'", Comparison("m", "=", Decimal("0.10"))),
        ('"a" = 1', A1),
        ('"A" = 1', A1),
        ('"Odd `name`" IN (1, 2)', In("Odd `name`", (1, 2))),
        ('1 = "n"."i"', Comparison("n.i", "=", 1)),
        ('NOT "ok" OR "s" = \'"x"\'', Or((Not(Comparison("ok", "=", True)), Comparison("s", "=", '"x"')))),
        ("s = 1", Comparison("s", "=", "1")),
        ("1 != s", Comparison("s", "!=", "1")),
        ("s IN (1, 'x', -2)", In("s", ("1", "x", "-2"))),
        ("a = '1'", A1),
        ("ok = 'false'", Comparison("ok", "=", False)),
        ("s = 'it''s'", Comparison("s", "=", "it's")),
        ("s = ''", Comparison("s", "=", "")),
        ("s = 'and ('", Comparison("s", "=", "and (")),
        ("s = 'TRUE'", Comparison("s", "=", "TRUE")),
        ("s = '\\n%'", Comparison("s", "=", "\\n%")),
        ("ok = true", Comparison("ok", "=", True)),
        ("ok", Comparison("ok", "=", True)),
        ("not ok", Not(Comparison("ok", "=", True))),
        ("1 < a", Comparison("a", ">", 1)),
        ("1 >= a", Comparison("a", "<=", 1)),
        ("1 = a", A1),
        ("date = '2026-01-02'", Comparison("date", "=", DAY)),
        ("date = DATE '2026-01-02'", Comparison("date", "=", DAY)),
        ("date '2026-01-02' < date", Comparison("date", ">", DAY)),
        ("wall = timestamp '2026-01-02 03:04:05.6'", Comparison("wall", "=", MORNING)),
        ("t = TIMESTAMP '2026-01-02T01:00:00+01:00'", Comparison("t", "=", MIDNIGHT)),
        ("t = '2026-01-02'", Comparison("t", "=", MIDNIGHT)),
        ("a IN (1, 2)", In("a", (1, 2))),
        ("a in (1)", In("a", (1,))),
        ("a NOT IN (1, 2)", Not(In("a", (1, 2)))),
        ("a BETWEEN 1 AND 2", A1_TO_2),
        ("a not between 1 and 2", Not(A1_TO_2)),
        ("a BETWEEN 1 AND 2 AND a = 3", And((A1_TO_2, A3))),
        ("a IS NULL", IsNull("a")),
        ("list is null", IsNull("list")),
        ("a is not null", Not(IsNull("a"))),
        ("TRUE", Everything()),
        ("(false)", Nothing()),
        ("a = 1 OR a = 2 AND a = 3", Or((A1, And((A2, A3))))),
        ("(a = 1 OR a = 2) AND a = 3", And((Or((A1, A2)), A3))),
        ("NOT a = 1 AND a = 2", And((Not(A1), A2))),
        ("NOT (a = 1 AND a = 2)", Not(And((A1, A2)))),
        ("not not a = 1", Not(Not(A1))),
        ("a = 1 and a = 2 AnD a = 3", And((A1, A2, A3))),
        ("n.i = 1", Comparison("n.i", "=", 1)),
        ("n . `i` = 1", Comparison("n.i", "=", 1)),
        ("n.`q.r`.s = 'x'", Comparison("n.q.r.s", "=", "x")),
        ("`x.y` = 1", Comparison("x.y", "=", 1)),
        ("x.y = 1", Comparison("x.y", "=", 1)),
        ("`Odd ``name``` = 1", Comparison("Odd `name`", "=", 1)),
        ("`and` = 1 and grün = 1", And((Comparison("and", "=", 1), Comparison("grün", "=", 1)))),
    ],
)  # fmt: skip
def test_text_means_a_predicate(text, predicate):
    assert parse(text, TERMS) == predicate


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a value, got the end at position 1"),
        ("a", "column 'a' of type int64 cannot be compared with True at position 1"),
        ("a =", "expected a value, got the end at position 4"),
        ("a = 1 a", "expected AND, OR or the end, got 'a' at position 7"),
        ("a = 1 AND", "got the end at position 10"),
        ("(a = 1", "expected '\\)', got the end at position 7"),
        ("a = 1)", "got '\\)' at position 6"),
        ("()", "got '\\)' at position 2"),
        ("a = a", "expected a value, got 'a' at position 5"),
        (
            "a = `TRUE`",
            r"expected a value \(text is in 'single' quotes\), got 'TRUE' at position 5",
        ),
        ("1 = 1", "expected a column, got '1' at position 5"),
        ("1", "expected a comparison, got the end"),
        ("'s'", "expected a comparison"),
        ("a = NULL", "nothing compares with NULL\\), got 'NULL' at position 5"),
        ("a IN (1, NULL)", "nothing compares with NULL\\), got 'NULL' at position 10"),
        ("a IN ()", "expected a value, got '\\)'"),
        ("a IN 1", "expected '\\(', got '1'"),
        ("a IN (1", "expected '\\)'"),
        ("a NOT 1", "expected 'IN', got '1' at position 7"),
        ("a IS 1", "expected 'NULL', got '1'"),
        ("a BETWEEN 1 OR 2", "expected 'AND', got 'OR'"),
        ("a LIKE 'x%'", "column 'a'"),
        ("ok LIKE 'x%'", "expected AND, OR or the end, got 'LIKE' at position 4"),
        ("a <=> 1", "got '>' at position 5"),
        ("a = 1; DROP TABLE t", "unexpected '; DROP TABLE t' at position 6"),
        ("a = 1abc", "unexpected '1abc' at position 5"),
        ("a = 1.2.3", "unexpected '1.2.3' at position 5"),
        ('"" = 1', "unexpected '\"\" = 1' at position 1; text is in 'single', names in `back` or"),
        ('s = "x"', r"expected a value \(text is in 'single' quotes\), got 'x' at position 5"),
        ('"nope" = 1', "column 'nope', which the table lacks at position 1"),
        ("s = 'open", 'unexpected "\'open" at position 5; text is in'),
        ("`` = 1", "at position 1; text is in"),
        ("a = 1 & a = 2", "unexpected '& a = 2' at position 7"),
        ("a + 1 = 2", "unexpected '\\+ 1 = 2' at position 3"),
        ("nope = 1", "column 'nope', which the table lacks at position 1"),
        ("AA = 1", "column 'AA', which the table lacks"),
        ("n.nope = 1", "column 'n.nope', which the table lacks"),
        ("n. = 1", "expected a column, got '='"),
        ("list.element = 1", "column 'list.element', which the table lacks"),
        (
            "a = 1 AND a = 'x'",
            "column 'a' of type int64 cannot be compared with 'x' at position 11",
        ),
        ("a IN (1, 'x')", "column 'a' of type int64 cannot be compared with 'x' at position 1"),
        ("s < 1", "column 's' is text, which '<' does not order as numbers"),
        ("s = 1.5", "column 's' of type string cannot be compared with Decimal\\('1.5'\\)"),
        ("ok = 1", "column 'ok'"),
        ("n = 1", "column 'n' of type struct.* cannot be compared"),
        ("raw = 'x'", "column 'raw' of type binary cannot be compared with 'x'"),
        (
            "date = 'yesterday'",
            "column 'date' of type date32.* cannot be compared with 'yesterday'",
        ),
        ("wall = '2026-01-01T00:00:00Z'", "column 'wall'"),
        ("date = DATE 'yesterday'", "not a time: DATE 'yesterday' at position 8"),
        ("t = TIMESTAMP '1.1.'", "not a time: TIMESTAMP '1.1.' at position 5"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_position(text, message):
    with pytest.raises(InvalidFilter, match=message):
        parse(text, TERMS)


@pytest.mark.parametrize("text", ["(" * 9999, "NOT " * 9999 + "ok", "(" * 51 + "ok" + ")" * 51])
def test_depth_is_bounded(text):
    with pytest.raises(InvalidFilter, match="nested more than 50 deep at position"):
        parse(text, TERMS)


def test_length_is_not():
    assert len(parse(" OR ".join(["a = 1"] * 5000), TERMS).children) == 5000


_WORDS = st.sampled_from(
    ["a", "s", "ok", "AND", "or", "Not", "in", "IS", "null", "between", "(", ")", ",", "=", "<>", "1",
     "'x'", "true", "date", "'2026-01-01'", "`a`", ".", "1.5", "-", "'", "`", "é", "\n", "\x00"]
)  # fmt: skip


@given(st.lists(_WORDS, max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_text_is_a_predicate_or_refused(text):
    with contextlib.suppress(InvalidFilter):
        parse(text, TERMS)


@given(st.text(max_size=9))
def test_any_text_can_be_asked_for(value):
    quoted = value.replace("'", "''")
    assert parse(f"s = '{quoted}'", TERMS) == Comparison("s", "=", value)


@given(st.text(min_size=1, max_size=9))
def test_any_name_can_be_quoted(name):
    quoted = name.replace("`", "``")
    assert parse(f"`{quoted}` = 1", Terms(pa.schema([(name, pa.int64())]))).column == name
