"""Filters as text, in the part of SQL that a `WHERE` over one table's columns and constants needs.

    or         := and ("OR" and)*
    and        := not ("AND" not)*
    not        := "NOT" not | "(" or ")" | term
    term       := column compare literal | literal compare column | column
                | column ["NOT"] "IN" "(" literal ("," literal)* ")"
                | column ["NOT"] "BETWEEN" literal "AND" literal
                | column "IS" ["NOT"] "NULL" | "TRUE" | "FALSE"
    compare    := "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    literal    := number | 'text' | "TRUE" | "FALSE" | "DATE" 'text' | "TIMESTAMP" 'text'
    column     := name ("." name)*          name := plain | `any text` | "any text"

Keywords and names are known in any case; a column alone must be boolean. Quotes double to stand for
themselves. `filter_terms` settles what may be compared with what.

Written by hand, for the grammar is all of the above: a parser of whole dialects (sqlglot) takes in far
more than could be honoured here, and one made by a library (lark, parsy) is hardly shorter.

Error semantics: `InvalidFilter` naming the column or token and its position, from 1.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn, get_args

from atomic_manifest.data.filter.filter_terms import Terms
from atomic_manifest.errors import InvalidFilter
from atomic_manifest.log.pruning.predicate import (
    And,
    Everything,
    Not,
    Nothing,
    Operator,
    Or,
    Predicate,
)

_MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | (?P<text>'(?:[^']|'')*')
      | (?P<quoted>`(?:[^`]|``)+`|"(?:[^"]|"")+")
      | (?P<time>(?:date|timestamp)\s*'(?:[^']|'')*')
      | (?P<word>[^\W\d]\w*)
      | (?P<symbol>==|!=|<>|<=|>=|[=<>(),.])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_KEYWORDS = frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"})
_COMPARE: dict[str, Operator] = {"==": "=", "<>": "!=", **{op: op for op in get_args(Operator)}}
_FLIPPED: dict[Operator, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class _Token:
    """A token; `text` is what it stands for: of a keyword capitals, of mere quotes what they hold."""

    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


def parse(text: str, terms: Terms) -> Predicate:
    """Read a filter's text.

    Args:
        text: See the module.
        terms: Of the table.

    Raises:
        InvalidFilter: Not a filter, or not one on this table.
    """
    return _Parser(_tokens(text), terms).filter()


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            place = _at(len(text) - len(rest) + 1)
            hint = (
                "; text is in 'single', names in `back` or \"double\" quotes"
                if rest[0] in "\"'`"
                else ""
            )
            raise InvalidFilter(f"filter: unexpected {rest[:20]!r}{place}{hint}")
        tokens.append(_token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return tokens


def _token(kind: str, text: str, start: int) -> _Token:
    if kind in ("text", "quoted"):
        quote = text[0]
        text = text[1:-1].replace(quote * 2, quote)
    elif kind == "word" and text.upper() in _KEYWORDS:
        kind, text = "keyword", text.upper()
    return _Token(kind, text, start + 1)


class _Parser:
    """Recursive descent: a method a rule. Each takes the tokens of its rule and no more."""

    def __init__(self, tokens: list[_Token], terms: Terms) -> None:
        self._tokens = tokens
        self._terms = terms
        self._next = 0

    def filter(self) -> Predicate:
        predicate = self._disjunction(0)
        if self._peek().kind != "end":
            self._refuse("AND, OR or the end")
        return predicate

    def _disjunction(self, depth: int) -> Predicate:
        children = [self._conjunction(depth)]
        while self._take("keyword", "OR"):
            children.append(self._conjunction(depth))
        return children[0] if len(children) == 1 else Or(tuple(children))

    def _conjunction(self, depth: int) -> Predicate:
        children = [self._negation(depth)]
        while self._take("keyword", "AND"):
            children.append(self._negation(depth))
        return children[0] if len(children) == 1 else And(tuple(children))

    def _negation(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise InvalidFilter(f"filter: nested more than {_MAX_DEPTH} deep{self._here()}")
        if self._take("keyword", "NOT"):
            return Not(self._negation(depth + 1))
        if self._take("symbol", "("):
            inner = self._disjunction(depth + 1)
            self._expect("symbol", ")")
            return inner
        return self._term()

    def _term(self) -> Predicate:
        if self._peek().kind not in ("word", "quoted"):
            return self._literal_first()
        place, name = self._here(), self._column()
        if self._take("keyword", "IS"):
            negated = self._take("keyword", "NOT")
            self._expect("keyword", "NULL")
            term = self._made(place, self._terms.is_null, name)
            return Not(term) if negated else term
        if op := self._operator():
            return self._made(place, self._terms.comparison, name, op, self._literal())
        if self._take("keyword", "NOT"):
            return Not(self._range_or_list(place, name))
        if self._at("keyword", "IN", "BETWEEN"):
            return self._range_or_list(place, name)
        is_true: Any = True
        return self._made(place, self._terms.comparison, name, "=", is_true)

    def _literal_first(self) -> Predicate:
        start = self._peek()
        value = self._literal()
        op = self._operator()
        if op is None:
            if start.kind != "keyword":
                self._refuse("a comparison")
            return Everything() if value else Nothing()
        place, name = self._here(), self._column()
        return self._made(place, self._terms.comparison, name, _FLIPPED.get(op, op), value)

    def _range_or_list(self, place: str, name: str) -> Predicate:
        if self._take("keyword", "BETWEEN"):
            low = self._made(place, self._terms.comparison, name, ">=", self._literal())
            self._expect("keyword", "AND")
            high = self._made(place, self._terms.comparison, name, "<=", self._literal())
            return And((low, high))
        self._expect("keyword", "IN")
        self._expect("symbol", "(")
        values = [self._literal()]
        while self._take("symbol", ","):
            values.append(self._literal())
        self._expect("symbol", ")")
        return self._made(place, self._terms.membership, name, values)

    def _column(self) -> str:
        parts = [self._name()]
        while self._take("symbol", "."):
            parts.append(self._name())
        return ".".join(parts)

    def _name(self) -> str:
        token = self._peek()
        if token.kind not in ("word", "quoted"):
            self._refuse("a column")
        self._next += 1
        return token.text

    def _operator(self) -> Operator | None:
        token = self._peek()
        if token.kind != "symbol" or token.text not in _COMPARE:
            return None
        self._next += 1
        return _COMPARE[token.text]

    def _literal(self) -> Any:
        token, is_truth = self._peek(), self._at("keyword", "TRUE", "FALSE")
        if token.kind not in ("number", "text", "time") and not is_truth:
            hint = " (nothing compares with NULL)" * self._at("keyword", "NULL")
            hint += " (text is in 'single' quotes)" * (token.kind == "quoted")
            self._refuse("a value" + hint)
        self._next += 1
        if token.kind == "time":
            return _time(token)
        if is_truth:
            return token.text == "TRUE"
        return Decimal(token.text) if token.kind == "number" else token.text

    def _made(self, place: str, make: Callable[..., Predicate], *of: Any) -> Predicate:
        try:
            return make(*of)
        except InvalidFilter as error:
            raise InvalidFilter(f"{error}{place}") from error

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _here(self) -> str:
        return _at(self._peek().position)

    def _at(self, kind: str, *texts: str) -> bool:
        return self._peek().kind == kind and self._peek().text in texts

    def _take(self, kind: str, text: str) -> bool:
        found = self._at(kind, text)
        self._next += found
        return found

    def _expect(self, kind: str, text: str) -> None:
        if not self._take(kind, text):
            self._refuse(repr(text))

    def _refuse(self, wanted: str) -> NoReturn:
        raise InvalidFilter(f"filter: expected {wanted}, got {self._peek()}{self._here()}")


def _time(token: _Token) -> dt.date:
    kind = dt.date if token.text[:4].upper() == "DATE" else dt.datetime
    try:
        return kind.fromisoformat(token.text[token.text.index("'") + 1 : -1])
    except ValueError as error:
        raise InvalidFilter(f"filter: not a time: {token.text}{_at(token.position)}") from error


def _at(position: int) -> str:
    return f" at position {position}"
