"""Which change of type loses nothing, decided on the types of leaves alone.

Invariant: `is_lossless(source, target)` is True only if every value of `source` has an equal value in
`target`, save for the three casts of time (`date64` to `date32`, a finer timestamp to a coarser one, a
coarser one to a finer one with a smaller range): their types fit, and the cast checks each value.
"""

import pyarrow as pa
from pyarrow import types

_MANTISSA_BITS = {16: 11, 32: 24, 64: 53}


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


def is_lossless(source: pa.DataType, target: pa.DataType) -> bool:
    """Whether a leaf of type `source` may be written to a column of type `target`.

    Layouts of text and of byte strings are one each. Numbers widen by type: to integers, floats and
    decimals that hold every value. Timestamps change unit and zone, never between with and without
    a time zone, since that would need to guess one.
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
    return _is_wider_number(source, target)


def _is_wider_number(source: pa.DataType, target: pa.DataType) -> bool:
    if types.is_decimal(target):
        return _digits_fit(source, target)
    if types.is_floating(target):
        bits = _MANTISSA_BITS[target.bit_width]
        if types.is_floating(source):
            return bool(source.bit_width < target.bit_width)
        return bool(types.is_integer(source)) and _magnitude_bits(source) <= bits
    if types.is_integer(target) and types.is_integer(source):
        sign_fits = types.is_signed_integer(target) or types.is_unsigned_integer(source)
        return bool(sign_fits) and _magnitude_bits(source) <= _magnitude_bits(target)
    return False


def _digits_fit(source: pa.DataType, target: pa.DataType) -> bool:
    whole = target.precision - target.scale
    if types.is_decimal(source):
        return bool(source.scale <= target.scale and source.precision - source.scale <= whole)
    return bool(types.is_integer(source)) and len(str(2 ** _magnitude_bits(source))) <= whole


def _magnitude_bits(kind: pa.DataType) -> int:
    return int(kind.bit_width) - bool(types.is_signed_integer(kind))
