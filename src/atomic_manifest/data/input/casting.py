"""Tells which types of leaves hold values of one kind, so that one may have an equal in the other.

Whether each has is for the cast to check, value by value.
"""

import pyarrow as pa
from pyarrow import types

from atomic_manifest.data.input.numbers import is_number


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds text, in any of Arrow's layouts."""
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """Whether a type holds byte strings, in any of Arrow's layouts."""
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is a list, in any of Arrow's layouts; a map is not."""
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def may_fit(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of a leaf of type `source` may be values of a column of type `target`.

    Layouts of text and of byte strings are one each. Numbers are numbers, whatever their type.
    Timestamps change unit and zone, never between with and without a time zone, since that would need
    to guess one. A date is no moment, and a boolean no number.
    """
    if source == target:
        return True
    if is_text(target):
        return is_text(source)
    if types.is_binary(target) or types.is_large_binary(target) or types.is_binary_view(target):
        return is_bytes(source)
    if types.is_timestamp(target):
        return types.is_timestamp(source) and (source.tz is None) == (target.tz is None)
    if types.is_date32(target):
        return bool(types.is_date64(source))
    return is_number(source) and is_number(target)
