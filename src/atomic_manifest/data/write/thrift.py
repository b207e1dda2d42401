"""Integers inside structures of Thrift's compact protocol: where they are, found by field id.

What nobody asks for is passed over without being understood, so that it can be copied as it is, whatever
a later version of a format adds. (Apache Thrift, "Thrift Compact protocol encoding".)

Error semantics: none of its own. It is for structures that Arrow wrote a moment ago.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

_INTEGERS = frozenset((4, 5, 6))  # of 16, 32 and 64 bits, all written alike
_BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 3, 7, 8, 9, 10, 11, 12
_LAST = 0x7F  # a byte beyond it has others behind it
_LONG = 15  # a list of as many elements or more says its size behind its header

Wanted: TypeAlias = "Mapping[int, str | Wanted]"
"""By field id, a name for an integer, or what is wanted of a structure (or of each in a list)."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer found.

    Attributes:
        name: As wanted.
        start: Where its bytes start.
        end: Where they end.
        value: It.
    """

    name: str
    start: int
    end: int
    value: int


def encoded(value: int) -> bytes:
    """An integer as it is written: the sign in the lowest bit, seven bits a byte, lowest first."""
    value = value << 1 if value >= 0 else (-value << 1) - 1
    found = bytearray()
    while value > _LAST:
        found.append(value & _LAST | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def list_header(count: int) -> bytes:
    """What a list of so many structures starts with."""
    if count < _LONG:
        return bytes([count << 4 | _STRUCT])
    # This one has no sign; in that form it is another integer's.
    return bytes([_LONG << 4 | _STRUCT]) + encoded(count >> 1 ^ -(count & 1))


def integer(data: bytes, position: int) -> tuple[int, int]:
    """The integer at a position, and where it ends."""
    value, position = _unsigned(data, position)
    return value >> 1 ^ -(value & 1), position


def field(data: bytes, position: int, before: int) -> tuple[int, int, int]:
    """Id and type of the field at a position of a structure (type 0: it ends here), and where its value
    starts; `before` is the id of the field before it."""
    head = data[position]
    if head >> 4:
        return before + (head >> 4), head & 15, position + 1
    if not head:
        return before, 0, position + 1
    number, position = integer(data, position + 1)
    return number, head & 15, position


def elements(data: bytes, position: int) -> tuple[int, int, int]:
    """Number and type of the elements of the list at a position, and where they start."""
    head = data[position]
    if head >> 4 < _LONG:
        return head >> 4, head & 15, position + 1
    count, position = _unsigned(data, position + 1)
    return count, head & 15, position


def find(data: bytes, position: int, wanted: Wanted, found: list[Integer]) -> int:
    """Add what is wanted of the structure at a position, in its order; says where the structure ends."""
    number = 0
    while True:
        number, kind, position = field(data, position, number)
        if not kind:
            return position
        here = wanted.get(number)
        if here is None:
            position = skip(data, position, kind)
        elif isinstance(here, str):
            start = position
            value, position = integer(data, start)
            found.append(Integer(here, start, position, value))
        elif kind == _LIST:
            count, _, position = elements(data, position)
            for _ in range(count):
                position = find(data, position, here, found)
        else:
            position = find(data, position, here, found)


def skip(data: bytes, position: int, kind: int) -> int:
    """Where the value of a type that starts at a position ends."""
    if kind in _INTEGERS:
        while data[position] > _LAST:
            position += 1
        return position + 1
    if kind == _STRUCT:
        while head := data[position]:
            position += 1
            if not head >> 4:
                position = skip(data, position, 4)
            position = skip(data, position, head & 15)
        return position + 1
    if kind == _BINARY:
        size, position = _unsigned(data, position)
        return position + size
    if kind in (_LIST, _SET):
        count, kind, position = elements(data, position)
        return _skip_many(data, position, kind, count)
    if kind == _MAP:
        return _skip_map(data, position)
    # What remains has a fixed size; a boolean that is a field has its value in its type.
    return position + {_BYTE: 1, _DOUBLE: 8}.get(kind, 0)


def _skip_many(data: bytes, position: int, kind: int, count: int) -> int:
    if kind < _BYTE:
        return position + count  # booleans are a byte each
    for _ in range(count):
        position = skip(data, position, kind)
    return position


def _skip_map(data: bytes, position: int) -> int:
    count, position = _unsigned(data, position)
    if not count:
        return position
    kinds = data[position]
    position += 1
    for _ in range(count):
        position = _skip_many(data, position, kinds >> 4, 1)
        position = _skip_many(data, position, kinds & 15, 1)
    return position


def _unsigned(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[position]) > _LAST:
        value |= (byte & _LAST) << shift
        shift += 7
        position += 1
    return value | byte << shift, position + 1
