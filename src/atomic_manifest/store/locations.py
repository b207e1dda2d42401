"""Tells URLs from local paths, and refuses what may be either.

What is meant for a bucket must not become a folder named `s3:`, whose writer is told that all went
well. So a text that starts like a URL and is none of a store is refused, with what to write instead; a
local folder of such a name is written `./name`, or given as a `pathlib.Path`.

Messages hold no more of a text than its scheme: the rest can hold secrets.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from atomic_manifest.errors import InvalidPath

S3 = ("s3", "s3a")
GCS = ("gs", "gcs")
AZURE = ("az", "azure", "abfs", "abfss")
HTTP = ("http", "https")
SCHEMES = (*S3, *GCS, *AZURE, *HTTP, "file", "memory")
"""Those of URLs that take no filesystem of fsspec."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_AZURE_URL = "abfss://container@account.dfs.core.windows.net/folder"
_INSTEAD = {
    **dict.fromkeys((*S3, "s3n"), "s3://bucket/folder"),
    **dict.fromkeys(GCS, "gs://bucket/folder"),
    **dict.fromkeys((*AZURE, "adl", "adls", "wasb", "wasbs"), _AZURE_URL),
    "dbfs": "the folder where it is mounted (/dbfs/folder), or the URL of the bucket behind it",
    "hdfs": "hdfs://host:port/folder, or the folder where it is mounted",
    "file": "file:///folder, or the folder's path",
    "memory": "memory://name",
    "http": "http://host/folder",
    "https": "https://host/folder",
}
_WINDOWS = "a path of Windows names no folder here"
_NO_PATHS = {
    "\\\\": _WINDOWS,
    "~": "nothing expands ~ in the path of a store: write os.path.expanduser('~/folder')",
}


def text_of(given: Any) -> str:
    """A URL or path as text.

    Raises:
        InvalidPath: If it is no text.
    """
    text: Any = None
    with suppress(TypeError):
        text = os.fspath(given)
    if not isinstance(text, str):
        raise InvalidPath(f"a store has a URL or a path, got {type(given).__name__}", path="")
    return text


def split_url(given: str | os.PathLike[str]) -> tuple[str, str] | None:
    """A URL's scheme, in lower case, and what follows its `://`; None for a local path.

    `file:/folder` is a URL, too (RFC 8089, "File URI Syntax").

    Raises:
        InvalidPath: If it is neither for sure.
    """
    text = text_of(given)
    if "\0" in text or not text.strip():
        raise InvalidPath("a store has a URL or a path, got an empty text or a NUL", path="")
    if isinstance(given, str) and text != text.strip():
        raise InvalidPath("the URL or path of a store has white space around it", path="")
    url = _URL.fullmatch(text)
    if url is not None:
        if _CONTROL.search(text):
            raise InvalidPath("the URL of a store has a control character", path="")
        return url[1].lower(), url[2]
    if "://" in text and "::" in text:
        raise InvalidPath(
            "a chain of URLs names no store: open its filesystem, and give it as `filesystem`",
            path="",
        )
    scheme = _SCHEME.match(text)
    if scheme is not None:
        return _without_slashes(given, scheme[1].lower(), text[scheme.end() :])
    for start, what in _NO_PATHS.items():
        if isinstance(given, str) and text.startswith(start) and os.name != "nt":
            raise InvalidPath(f"{what}{_or_local(given)}", path="")
    if "://" in text and not text.startswith(("/", ".")):
        raise InvalidPath(
            f"the URL of a store starts with a scheme, such as s3://{_or_local(given)}", path=""
        )
    return None


def instead_of(scheme: str) -> str:
    """What to write instead of a URL with this scheme, as words that end a message."""
    return f": write {_INSTEAD[scheme]}" if scheme in _INSTEAD else ""


def local_path(given: str | os.PathLike[str]) -> str | Path:
    """The path of a local folder that a path, or a `file:` URL, names.

    Raises:
        InvalidPath: If it names none.
    """
    url = split_url(given)
    if url is None:
        return text_of(given)
    scheme, rest = url
    if scheme not in ("file", "local"):
        raise InvalidPath(f"a {scheme}:// URL names no local folder", path="")
    return file_path(rest)


def file_path(rest: str) -> Path:
    """The path that a `file://` URL names, of which `rest` follows the slashes.

    Raises:
        InvalidPath: If it names a file of another host, or has a query.
    """
    refuse_query("file", rest)
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise InvalidPath("a file:// URL of another host: write file:///folder", path="")
    decoded = unquote(path)
    if "\0" in decoded:
        raise InvalidPath("a file:// URL with a NUL", path="")
    return Path(decoded if re.match(r"[A-Za-z]:", decoded) else slash + decoded)


def root_in(fs: Any, root: str) -> str:
    """A folder as a filesystem of fsspec names it, without protocol.

    Raises:
        InvalidPath: If it cannot be one.
    """
    try:
        return str(fs._strip_protocol(root))  # noqa: SLF001 - fsspec's word for it
    except Exception as error:  # noqa: BLE001 - a filesystem may raise anything
        kind = type(error).__name__
    raise InvalidPath(f"{type(fs).__name__} cannot have such a root ({kind})", path="")


def refuse_query(scheme: str, rest: str) -> None:
    """Raise `InvalidPath` if a URL has a query or a fragment, which no path of a table has."""
    if "?" in rest or "#" in rest:
        hint = " (a SAS is the option `sas_token`)" if scheme in AZURE else ""
        raise InvalidPath(
            f"the {scheme}:// URL has a query or a fragment (? or #), which names no folder: give keys,"
            f" signatures and tokens as storage options{hint}",
            path="",
        )


def _without_slashes(
    given: str | os.PathLike[str], scheme: str, rest: str
) -> tuple[str, str] | None:
    """Of what starts with a scheme, or a drive, that no `://` follows."""
    if len(scheme) == 1:
        if os.name == "nt":
            return None
        raise InvalidPath(f"{_WINDOWS}{_or_local(given)}", path="")
    rooted = rest.startswith("/")
    if scheme == "file" and rooted:
        return scheme, rest
    if not isinstance(given, str) and not rooted and scheme not in _INSTEAD:
        return None
    slashes = "with one slash" if rooted else "without slashes"
    lost = (
        " (pathlib.Path takes one away: give the URL as text)" if not isinstance(given, str) else ""
    )
    raise InvalidPath(
        f"a URL {slashes} after {scheme}: names no store{instead_of(scheme)}{lost}{_or_local(given)}",
        path="",
    )


def _or_local(given: str | os.PathLike[str]) -> str:
    return "; a local folder of this name is written ./name" if isinstance(given, str) else ""
