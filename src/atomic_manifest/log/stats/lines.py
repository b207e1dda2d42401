"""Statistics of many files as columns, where their texts differ in nothing but the values.

One writer's texts are the same again and again, but for values between the same commas: lines of a table
with commas, which Arrow reads much faster than it reads JSON.

Invariant: what is read is what reading the JSON gives. Around the values every text is the first one,
which was decoded, and every value is of JSON's grammar for its type; so every text is JSON. Whatever is in
doubt is left to those who read JSON: escapes, commas in values, a column that some texts do without.

Error semantics: none of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from atomic_manifest.log.stats.moments import from_texts

_Path: TypeAlias = tuple[str, ...]

_PIECE = re.compile(
    r'[{ ]?(?P<opened>(?:"[^"]*": ?\{)*)"(?P<name>[^"]*)": ?'
    r'(?P<value>"[^"]*"|[^"{}\[\]:, ]+)(?P<closed>\}*)'
)
_NAME = re.compile(r'"([^"]*)": ?\{')
_FLOAT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_SCALAR = r'^("[^"\\\x00-\x1f]*"|true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?)$'
_NOT_IN_TEXT = r'["\\\x00-\x1f]'


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A value and what is around it, between two commas."""

    path: _Path
    before: str
    behind: str


class _Doubt(Exception):
    """The texts are not alike, or a value is not plainly of its type."""


def from_lines(texts: pa.Array, type_: pa.StructType) -> pa.StructArray | None:
    """The statistics of each text as columns.

    Args:
        texts: Of `add.stats`.
        type_: See `typed_columns.statistics_type`.

    Returns:
        None if the texts differ in more than values; nothing is known then.
    """
    if texts.null_count or not len(texts):
        return None
    leaves = _leaves(texts[0].as_py())
    if not leaves:
        return None
    types = dict(_types(type_, ()))
    try:
        columns = {
            leaf.path: _read(_value(column, leaf), types.get(leaf.path), leaf.path[0])
            for leaf, column in zip(leaves, _pieces(texts, len(leaves)), strict=True)
        }
        return _struct(columns, type_, (), len(texts))
    except (_Doubt, pa.ArrowException):
        return None


def _leaves(text: str) -> list[_Leaf] | None:
    """The values of a text, in order; None if there is more to it than names and plain values."""
    if "\\" in text:
        return None
    parents: list[str] = []
    leaves = []
    for piece in text.split(","):
        match = _PIECE.fullmatch(piece)
        if match is None:
            return None
        parents += _NAME.findall(match["opened"])
        leaves.append(
            _Leaf((*parents, match["name"]), piece[: match.start("value")], match["closed"])
        )
        del parents[max(0, len(parents) - len(match["closed"])) :]
    try:
        found = list(_paths(msgspec.json.decode(text), ()))
    except (msgspec.MsgspecError, RecursionError):
        return None
    return leaves if found == [leaf.path for leaf in leaves] else None


def _paths(value: Any, path: _Path) -> Iterator[_Path]:
    if not isinstance(value, dict):
        yield path
        return
    for name, inner in value.items():
        yield from _paths(inner, (*path, name))


def _pieces(texts: pa.Array, count: int) -> Iterator[pa.Array]:
    """What is between the commas of each text."""
    lines = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    data = pc.binary_join(lines, "\n")[0].as_buffer()
    names = [str(number) for number in range(count)]
    table = pcsv.read_csv(
        pa.BufferReader(data),
        read_options=pcsv.ReadOptions(
            use_threads=False, block_size=data.size + 1, column_names=names
        ),
        parse_options=pcsv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pcsv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(names, pa.string())
        ),
    )
    if table.num_rows != len(texts):
        raise _Doubt
    return (column.combine_chunks() for column in table.columns)


def _value(column: pa.Array, leaf: _Leaf) -> pa.Array:
    """The text of a value, without what is around it, which has to be the same everywhere."""
    _check(pc.starts_with(column, leaf.before))
    # `binary_slice` would fail here, or worse, where a text is shorter than what is asked for.
    rest = pc.binary_replace_slice(column.cast(pa.binary()), 0, len(leaf.before.encode()), b"")
    rest = rest.cast(pa.string())
    return _trimmed(rest, "}", len(leaf.behind)) if leaf.behind else rest


def _trimmed(texts: pa.Array, character: str, count: int) -> pa.Array:
    """The texts without a character at their ends, which has to be there so many times."""
    trimmed = pc.ascii_trim(texts, characters=character)
    cut = pc.subtract(pc.binary_length(texts), pc.binary_length(trimmed))
    _check(pc.equal(cut, count))
    return trimmed


def _check(holds: pa.Array) -> None:
    if holds.true_count < len(holds):
        raise _Doubt


def _read(texts: pa.Array, type_: pa.DataType | None, kind: str) -> pa.Array:
    """Values of a type; of what is no column of ours it is only checked that it is JSON."""
    if type_ is None:
        _check(pc.match_substring_regex(texts, _SCALAR))
        return texts
    absent = pc.equal(texts, "null")
    if absent.true_count:
        texts = pc.if_else(absent, pa.scalar(None, pa.string()), texts).drop_null()
    values = _plain(texts, type_, kind)
    if not absent.true_count:
        return values
    places = pc.subtract(pc.cumulative_sum(pc.invert(absent).cast(pa.int64())), 1)
    return values.take(pc.if_else(absent, pa.scalar(None, pa.int64()), places))


def _plain(texts: pa.Array, type_: pa.DataType, kind: str) -> pa.Array:
    if pa.types.is_string(type_) or pa.types.is_temporal(type_):
        _check(pc.and_(pc.starts_with(texts, '"'), pc.ends_with(texts, '"')))
        inner = _trimmed(texts, '"', 2)
        if pa.types.is_string(type_):  # in no date or time is any of these
            _check(pc.invert(pc.match_substring_regex(inner, _NOT_IN_TEXT)))
        return inner.cast(type_) if pa.types.is_string(type_) else from_texts(inner, type_, kind)
    if pa.types.is_integer(type_):  # Arrow takes 007 and 0x7, too
        alone = pc.or_(pc.equal(texts, "0"), pc.invert(pc.starts_with(texts, "0")))
        _check(pc.and_(alone, pc.invert(pc.starts_with(texts, "-0"))))
        return texts.cast(type_)
    if pa.types.is_boolean(type_):
        values = pc.equal(texts, "true")
        _check(pc.or_(values, pc.equal(texts, "false")))
        return values
    floating = pa.types.is_floating(type_)
    _check(pc.match_substring_regex(texts, _FLOAT if floating else _DECIMAL))
    values = texts.cast(type_)
    return pc.if_else(pc.is_finite(values), values, None) if floating else values


def _types(type_: pa.StructType, path: _Path) -> Iterator[tuple[_Path, pa.DataType]]:
    """The paths of the columns that are no structs, and their types."""
    for field in type_:
        here = (*path, field.name)
        if pa.types.is_struct(field.type):
            yield from _types(field.type, here)
        else:
            yield here, field.type


def _struct(
    columns: Mapping[_Path, pa.Array], type_: pa.StructType, path: _Path, count: int
) -> pa.Array:
    """The columns of a struct; nulls if the texts have none there."""
    end = len(path)
    if not any(found[:end] == path and len(found) > end for found in columns):
        return pa.nulls(count, type_)
    arrays = []
    for field in type_:
        here = (*path, field.name)
        if pa.types.is_struct(field.type):
            arrays.append(_struct(columns, field.type, here, count))
        else:
            arrays.append(columns[here] if here in columns else pa.nulls(count, field.type))
    return pa.StructArray.from_arrays(arrays, fields=list(type_))
