"""Casts numbers of any type to any other, if every one of them stays the number that it is.

Invariants: integers, floats and decimals are compared exactly. A float that is `-0.0`, infinite or not a
number fits into floats alone.

Error semantics: `DataError` or Arrow's errors, telling the first number that does not fit.
"""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from atomic_manifest.errors import DataError

# Holds every 64-bit integer beside any scale that a decimal of a table may have.
_WIDE_DIGITS = 76


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers; booleans are none."""
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def number_cast(source: pa.DataType, target: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    """The cast from one type of numbers to another.

    Args:
        source: Of the arrays to come.
        target: Of those that the cast gives.
    """
    if types.is_float16(source) and not types.is_floating(target):
        inner = number_cast(pa.float32(), target)  # Arrow has no cast of its own
        return lambda array: inner(pc.cast(array, pa.float32()))
    if types.is_floating(source):
        return lambda array: _of_floats(array, target)
    if types.is_floating(target):
        return lambda array: _to_floats(array, target)
    if types.is_integer(source) and types.is_decimal(target):
        # Straight to the target Arrow asks whether all of the type's values would fit.
        wide = pa.decimal256(_WIDE_DIGITS, target.scale)
        return lambda array: pc.cast(pc.cast(array, wide), target)
    return lambda array: pc.cast(array, target)


def _of_floats(array: pa.Array, target: pa.DataType) -> pa.Array:
    kind = array.type
    if types.is_floating(target):
        found = pc.cast(array, target)
        if target.bit_width >= kind.bit_width:
            return found
        back = pc.cast(found, kind)
        same = pc.or_(pc.equal(back, array), pc.is_nan(array))
        return _checked(array, found, same, target)
    found = pc.cast(array, target)
    bits = array.view(pa.int32() if kind.bit_width == pa.int32().bit_width else pa.int64())
    signed_zero = pc.equal(bits, pa.scalar(-(1 << (kind.bit_width - 1)), bits.type))
    _checked(array, found, pc.invert(signed_zero), target)
    return found if types.is_integer(target) else _compared(array, found, target)


def _to_floats(array: pa.Array, target: pa.DataType) -> pa.Array:
    if types.is_integer(array.type):
        try:
            return pc.cast(array, target)
        except pa.ArrowInvalid:  # one is beyond those that are exact one and all
            pass
    return _compared(array, pc.cast(array, target, safe=False), target)


def _compared(array: pa.Array, found: pa.Array, target: pa.DataType) -> pa.Array:
    """What was found, if it is equal: Python compares numbers of all types exactly."""
    pairs = zip(array.to_pylist(), found.to_pylist(), strict=True)
    same = pa.array([one is None or one == other for one, other in pairs], pa.bool_())
    return _checked(array, found, same, target)


def _checked(array: pa.Array, found: pa.Array, same: pa.Array, target: pa.DataType) -> pa.Array:
    at = pc.index(same, False).as_py()
    if at >= 0:
        raise DataError(f"{array[at].as_py()} has no equal in {target}")
    return found
