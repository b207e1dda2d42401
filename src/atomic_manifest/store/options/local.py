"""Leaves alone storage options given with a local path or a store in memory, which have none.

One set of options often serves many URLs, so those that some store knows change nothing here, and a line
in the log says so. What none knows is misspelt, and refused as it is on the store it was meant for.
"""

import logging
from collections.abc import Mapping
from typing import Any

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.options.cloud import (
    AZURE_NAMES,
    AZURE_PREFIXES,
    GCS_NAMES,
    GCS_PREFIXES,
)
from atomic_manifest.store.options.http import HTTP_NAMES
from atomic_manifest.store.options.s3 import NAMES, NESTED, S3_PREFIXES
from atomic_manifest.store.options.values import HARMLESS, bare_name, did_you_mean

_log = logging.getLogger("atomic_manifest")

_PREFIXES = (*S3_PREFIXES, *GCS_PREFIXES, *AZURE_PREFIXES)
_OTHERS = ("connection_string", "auto_mkdir")  # the latter is of fsspec's local filesystem
_KNOWN = frozenset({*NAMES, *NESTED, *GCS_NAMES, *AZURE_NAMES, *HTTP_NAMES, *HARMLESS, *_OTHERS})


def leave_alone(options: Mapping[str, Any]) -> None:
    """Say which options change nothing.

    Raises:
        InvalidStorageOption: No store knows an option.
    """
    for option, value in options.items():
        if value is None:
            continue
        bare = bare_name(option, _PREFIXES)
        if bare not in _KNOWN:
            meant = did_you_mean(option, bare, _KNOWN)
            raise InvalidStorageOption(
                f"storage option {option!r} is not known{meant}", option=option, path=""
            )
        _log.debug("storage option %r means nothing to a local store and is left alone", option)
