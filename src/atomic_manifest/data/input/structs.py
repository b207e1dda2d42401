"""Puts structs together and takes maps apart where Arrow's own ways lose something.

A required field holds a value below a null struct, too: Arrow's Parquet writer counts the nulls of such a
field without asking whether the struct is null, and `flatten` puts a null wherever it is. What stands
there is never seen.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types


def struct_of(
    columns: Sequence[pa.Array], fields: Sequence[pa.Field], mask: pa.Array | None
) -> pa.StructArray:
    """A struct of columns that may hold nulls where the struct is null.

    Args:
        columns: Of its fields.
        fields: Their names and types.
        mask: Where the struct is null; None for nowhere.

    Raises:
        pa.ArrowInvalid: A required field is null where the struct is not.
    """
    filled = [
        column
        if mask is None or field.nullable or not column.null_count
        else pc.if_else(mask, _anything(field.type)[0], column)
        for column, field in zip(columns, fields, strict=True)
    ]
    return pa.StructArray.from_arrays(filled, fields=list(fields), mask=mask)


def pairs_of(array: pa.MapArray) -> pa.ListArray:
    """A map as the list of structs that it is; a view as one loses rows of run ends."""
    pair = pa.struct([array.type.key_field, array.type.item_field])
    entries = pa.StructArray.from_arrays([array.keys, array.items], fields=list(pair))
    kind = pa.list_(pa.field("entries", pair, nullable=False))
    buffers = array.buffers()[:2]
    return pa.Array.from_buffers(kind, len(array), buffers, offset=array.offset, children=[entries])


def nulls_of(kind: pa.DataType, length: int) -> pa.Array:
    """Nothing but nulls, with a value of each required field below them."""
    if not types.is_struct(kind):
        return pa.nulls(length, kind)
    columns = [nulls_of(field.type, length) for field in kind]
    return struct_of(columns, list(kind), pa.nulls(length).is_null())


def _anything(kind: pa.DataType) -> pa.Array:
    """One value of a type: zero, or empty."""
    if types.is_struct(kind):
        return struct_of([_anything(field.type) for field in kind], list(kind), None)
    if types.is_map(kind) or types.is_list(kind):
        return pa.array([[]], kind)
    if types.is_string(kind) or types.is_binary(kind):
        return pa.array([b""], pa.binary()).cast(kind)
    if types.is_null(kind):
        return pa.nulls(1)
    return pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(bytes(kind.bit_width // 8 + 1))])
