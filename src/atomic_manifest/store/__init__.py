"""Conditional object storage: one interface to S3, GCS, Azure, local disks and memory.

Every write can carry a condition that the store evaluates at the instant of writing, so a bucket is
enough for compare-and-swap:

    store = open_store("s3://bucket/folder")
    store.put("counter", b"0", when=IfAbsent())
    seen = store.get("counter")
    store.put("counter", b"1", when=IfMatch(seen.meta.etag))

or, bounded and with the right pauses,

    store.update("counter", lambda data: b"%d" % (int(data or 0) + 1))

`AsyncObjectStore.of(store)` is the same for asyncio. This floor knows nothing of tables, and importing
it loads no SDK.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Driver, DriverUpload, Object, ObjectMeta
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.open import open_async_store, open_store
from atomic_manifest.store.policy.pacing import Retry
from atomic_manifest.store.upload import AsyncUpload, Upload

if TYPE_CHECKING:
    from atomic_manifest.store.async_driver import AsyncDriver, AsyncDriverUpload
    from atomic_manifest.store.async_store import AsyncObjectStore
    from atomic_manifest.store.conditional_object import (
        AsyncConditionalObject,
        ConditionalObject,
        is_conflict,
        is_not_found,
        is_precondition_failed,
        is_unavailable,
        is_unknown,
    )
    from atomic_manifest.store.in_threads import InThreads

__all__ = [
    "AsyncConditionalObject",
    "AsyncDriver",
    "AsyncDriverUpload",
    "AsyncObjectStore",
    "AsyncUpload",
    "Condition",
    "ConditionalObject",
    "Driver",
    "DriverUpload",
    "ETag",
    "IfAbsent",
    "IfMatch",
    "InThreads",
    "Object",
    "ObjectMeta",
    "ObjectStore",
    "Retry",
    "Upload",
    "is_conflict",
    "is_not_found",
    "is_precondition_failed",
    "is_unavailable",
    "is_unknown",
    "open_async_store",
    "open_store",
]

_LAZY = {
    "AsyncConditionalObject": "conditional_object",
    "AsyncDriver": "async_driver",
    "AsyncDriverUpload": "async_driver",
    "AsyncObjectStore": "async_store",
    "ConditionalObject": "conditional_object",
    "InThreads": "in_threads",
    "is_conflict": "conditional_object",
    "is_not_found": "conditional_object",
    "is_precondition_failed": "conditional_object",
    "is_unavailable": "conditional_object",
    "is_unknown": "conditional_object",
}
"""Names whose modules are loaded when they are first used."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
