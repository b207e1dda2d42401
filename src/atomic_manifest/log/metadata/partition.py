"""Partition values as text (protocol, "Partition Value Serialization") and as folder names.

Rules: null and the empty string are both null, for the protocol knows one form for the two. A
`timestamp` is written as ISO 8601 in UTC with microseconds and `Z`; one read without a zone is taken as
UTC. A binary value is its UTF-8 text, as Spark has it; bytes that are not UTF-8 have no form. Floats
are written as Spark writes them where the values are special: `NaN`, `Infinity`, `-Infinity`.

Error semantics: a value that has no text form, and text that is not a value of the type, raise
`DataError` naming it.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

import pyarrow as pa

from atomic_manifest.errors import DataError

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""The folder name that stands for null, since Hive."""

_ESCAPED = re.compile(r"""[\x00-\x1f"#%'*/:=?\\\x7f{\[\]^]""")
_LONGEST_NAME = 255  # bytes, of most file systems
_LONGEST_PATH = 640  # of the 1,024 that object stores have for a key
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - Arrow counts from it, with and without zone
_EPOCH_DATE = dt.date(1970, 1, 1)
_MICROSECOND = dt.timedelta(microseconds=1)
_SPECIAL_FLOATS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_NEEDS_DOT = re.compile(r"-?\d+")


def serialize(scalar: pa.Scalar) -> str | None:
    """The text of a partition value, None for null and for the empty string.

    Args:
        scalar: Of a primitive type as `schema.canonical` gives it.

    Raises:
        DataError: A nested type, a date or time outside the years 1 to 9999, bytes that are not UTF-8.
    """
    if not scalar.is_valid:
        return None
    try:
        return _text(scalar) or None
    except (OverflowError, UnicodeDecodeError) as error:
        raise DataError(
            f"a value of type {scalar.type} cannot be a partition value: {error}"
        ) from error


def _text(scalar: pa.Scalar) -> str:
    type_ = scalar.type
    if pa.types.is_boolean(type_):
        return "true" if scalar.as_py() else "false"
    if pa.types.is_floating(type_):
        return _float_text(scalar)
    if pa.types.is_decimal(type_):
        return format(scalar.as_py(), "f")
    if pa.types.is_date(type_):
        return iso_date(scalar.cast(pa.date32()).value)
    if pa.types.is_timestamp(type_):
        text = iso_timestamp(scalar.cast(pa.timestamp("us", tz=type_.tz)).value)
        return f"{text}Z" if type_.tz else text.replace("T", " ").removesuffix(".000000")
    if pa.types.is_integer(type_) or pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return str(scalar.as_py())
    if pa.types.is_binary(type_):
        return bytes(scalar.as_py()).decode()
    raise DataError(f"a value of type {type_} cannot be a partition value")


def _float_text(scalar: pa.Scalar) -> str:
    text: str = scalar.cast(pa.string()).as_py()
    if _NEEDS_DOT.fullmatch(text):
        return f"{text}.0"
    return _SPECIAL_FLOATS.get(text.lower().replace("-nan", "nan"), text)


def iso_date(days: int) -> str:
    """ISO 8601 text of days since the Unix epoch.

    Raises:
        OverflowError: Outside the years 1 to 9999.
    """
    return (_EPOCH_DATE + dt.timedelta(days=days)).isoformat()


def iso_timestamp(microseconds: int) -> str:
    """ISO 8601 text of microseconds since the Unix epoch, all six digits, without a zone.

    Raises:
        OverflowError: Outside the years 1 to 9999.
    """
    return (_EPOCH + microseconds * _MICROSECOND).isoformat(timespec="microseconds")


def parse(text: str | None, type: pa.DataType) -> pa.Scalar:
    """The partition value that `text` stands for, as a scalar of `type`.

    Raises:
        DataError: Not a value of the type.
    """
    if text is None or text == "" or pa.types.is_null(type):
        return pa.scalar(None, type)
    try:
        return pa.scalar(_reader(type)(text, type), type)
    except (ValueError, OverflowError, DecimalException, pa.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"partition value {text!r} is not of type {type}: {error}") from error


def _reader(type_: pa.DataType) -> Callable[[str, pa.DataType], Any]:
    for predicate, reader in _READERS:
        if predicate(type_):
            return reader
    raise DataError(f"type {type_} cannot be a partition column's")


def _read_boolean(text: str, _: pa.DataType) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text.lower() == "true"


def _read_decimal(text: str, type_: pa.DataType) -> Decimal:
    # Exactly the type's scale, or Arrow would refuse it; no digit may get lost on the way.
    context = Context(prec=type_.precision, traps=[InvalidOperation, Inexact])
    value = Decimal(text).quantize(Decimal(1).scaleb(-type_.scale), context=context)
    if not value.is_finite():
        raise ValueError("not a finite number")
    return value


def _read_timestamp(text: str, type_: pa.DataType) -> int:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        if type_.tz is None:
            raise ValueError("a zone where none belongs")
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) // _MICROSECOND


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[str, pa.DataType], Any]], ...] = (
    (pa.types.is_string, lambda text, _: text),
    (pa.types.is_integer, lambda text, _: int(text)),
    (pa.types.is_boolean, _read_boolean),
    (pa.types.is_floating, lambda text, _: float(text)),
    (pa.types.is_decimal, _read_decimal),
    (pa.types.is_date, lambda text, _: dt.date.fromisoformat(text)),
    (pa.types.is_timestamp, _read_timestamp),
    (pa.types.is_binary, lambda text, _: text.encode()),
)


def folder(values: Mapping[str, str | None]) -> str:
    """The Hive-style folder of partition values: `a=1/b=x`, in the mapping's order.

    Characters that Spark escapes in folder names are percent-encoded; null and empty are
    `NULL_FOLDER`. What no folder can say, because it is too long or reads as null, is a digest: who goes
    by folders and not by the log shall find no value there, rather than another one.
    """
    parts = [_folder(name, value) for name, value in values.items()]
    whole = "/".join(parts)
    return whole if len(whole.encode()) <= _LONGEST_PATH else _digest(whole)


def is_told_by_folders(name: str) -> bool:
    """Whether those who go by folders find a partition column there: Polars undoes no escapes."""
    return _escape(name) == name


def _folder(name: str, value: str | None) -> str:
    text = f"{_escape(name)}={_escape(value) if value else NULL_FOLDER}"
    said = value != NULL_FOLDER and len(text.encode()) <= _LONGEST_NAME
    return text if said else _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text)
