"""The paths of data files as the log writes them (protocol, "Add File and Remove File"; RFC 2396).

A path in the log is a relative URI: what is not allowed in one is percent-encoded as UTF-8, so the
folder `a=x%20y` on disk is `a=x%2520y` in the log. Every engine decodes; ours encodes as Spark does,
and beyond it the colon (which in a first segment would make a scheme) and all that is not ASCII.

Error semantics: a path that does not stay below the table's root raises `CorruptLog`. That goes for
every absolute path and every URI with a scheme, even one that points into the same table: which
store it means cannot be told from the log alone. A colon in the name of a partition's folder makes no
scheme, though RFC 2396 has it so: writers leave it bare in the folders of a column such as `dc:type`.
"""

import re
from urllib.parse import quote, unquote

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.entry import LOG_FOLDER, entry_path

_SAFE = "/;@&=+$,!~*'()"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?![^/]*=)")


def encode(path: str) -> str:
    """The `add.path` of the file at `path`, relative to the table's root."""
    return quote(path, safe=_SAFE)


def decode(path: str) -> str:
    """The file's path that an `add.path` stands for. Does not check it: see `decode_file_path`."""
    return unquote(path)


def decode_file_path(text: str, *, version: int | None) -> str:
    """Decode an `add.path` and make sure that it stays below the table's root.

    Args:
        text: The path as the log has it.
        version: The version the path was read at, for the message; None if not known.

    Raises:
        CorruptLog: An absolute path, a scheme, an empty, `.` or `..` segment, a NUL, or bytes that are
            not UTF-8.
    """
    if _SCHEME.match(text):
        raise _refused(text, version, "names a store of its own")
    try:
        path = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _refused(text, version, "is not UTF-8 when decoded") from None
    if path.startswith("/"):
        raise _refused(text, version, "is absolute")
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise _refused(text, version, "is not a path below the table")
    return path


def _refused(text: str, version: int | None, why: str) -> CorruptLog:
    where = LOG_FOLDER if version is None else entry_path(version)
    return CorruptLog(f"{where}: file path {text!r} {why}", path=text, version=version)
