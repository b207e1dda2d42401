"""Checks of folders, byte ranges and metadata that every driver makes the same way."""

import re
from collections.abc import Mapping

from atomic_manifest.errors import StoreError
from atomic_manifest.store.driver import check_path

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def folder(prefix: str) -> str:
    """Return what every path below the folder `prefix` starts with.

    Args:
        prefix: A folder's path, with or without a trailing slash; empty for the root.

    Returns:
        `prefix` with one trailing slash, or empty for the root.

    Raises:
        InvalidPath: If `prefix` is no usable path.
    """
    bare = prefix.removesuffix("/")
    return f"{check_path(bare)}/" if bare else ""


def check_range(path: str, range: tuple[int, int]) -> tuple[int, int]:
    """Return `range` if it is a half-open range of bytes that holds at least one.

    Raises:
        StoreError: If it is not. An empty range cannot be asked over HTTP (RFC 9110 §14.1.2), so no
            driver takes one.
    """
    start, end = range
    if not 0 <= start < end:
        raise StoreError(f"{path}: not a range of bytes: {start} to {end}", path=path)
    return range


def check_start(path: str, start: int, size: int) -> None:
    """Raise `StoreError` if a range's first byte is past the object's end (HTTP 416)."""
    if start >= size:
        raise StoreError(f"{path}: no byte at {start}, the object has {size}", path=path)


def check_metadata(path: str, metadata: Mapping[str, str]) -> None:
    """Raise `StoreError` if user metadata cannot travel in HTTP headers."""
    for key, value in metadata.items():
        if not _HEADER_NAME.fullmatch(key) or not _HEADER_VALUE.fullmatch(value):
            raise StoreError(
                f"{path}: user metadata must be letters, digits and hyphens = printable ASCII:"
                f" {key!r}",
                path=path,
            )


def keeps_metadata(driver: object) -> bool:
    """Whether a driver keeps user metadata: all do but those with `keeps_metadata = False`."""
    return bool(getattr(driver, "keeps_metadata", True))


def is_directory_bucket(name: str) -> bool:
    """Whether a bucket, or an access point of one, is a directory bucket (S3 Express One Zone).

    Amazon lists those in no order, and lets no listing start behind a key.
    """
    return name.endswith(("--x-s3", "--xa-s3"))


def lists_in_order(driver: object) -> bool | None:
    """Whether a driver lists by code point and heeds `start_after`, as `Driver.list` asks.

    A driver says so by `lists_in_order`: True, or False where it hands on what a service gives in an
    order of its own. None is that of most: the service's, which is to be found out.
    """
    known: bool | None = getattr(driver, "lists_in_order", None)
    return known
