"""Conditional object storage: one interface to S3, GCS, Azure, local disks and memory.

Every write can carry a condition that the store evaluates at the instant of writing, so a bucket is
enough for compare-and-swap:

    store = open_store("s3://bucket/folder")
    store.put("counter", b"0", when=IfAbsent())
    seen = store.get("counter")
    store.put("counter", b"1", when=IfMatch(seen.meta.etag))

This floor knows nothing of tables, and importing it loads no SDK.
"""

from atomic_manifest.store.conditions import Condition, ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Object, ObjectMeta
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.open import open_store
from atomic_manifest.store.pacing import Retry
from atomic_manifest.store.upload import Upload

__all__ = [
    "Condition",
    "ETag",
    "IfAbsent",
    "IfMatch",
    "Object",
    "ObjectMeta",
    "ObjectStore",
    "Retry",
    "Upload",
    "open_store",
]
