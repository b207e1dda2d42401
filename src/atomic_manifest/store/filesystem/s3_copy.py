"""A copy in S3 of an object that is too large for one request, which is one of more than 5 GiB.

It is a multipart upload whose parts the service copies from ranges of the source. All are of one state
of the source: each part is asked for on condition of its ETag. The condition on the destination is
asked when the upload is completed, as of any. Metadata goes along, tags do not.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from atomic_manifest.errors import NotFound
from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.driver import ObjectMeta
from atomic_manifest.store.filesystem.calls import NotAsked

if TYPE_CHECKING:
    from atomic_manifest.store.filesystem.s3_calls import S3Calls, S3Parts

AT_ONCE = 5 << 30
"""Bytes that one request copies at most."""
PART = 256 << 20
"""Bytes of a part, if that makes not too many."""
KEPT = (
    *("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType"),
    "Metadata",
)
"""What a look at the source tells that its copy has too."""
_PARTS, _IN_FLIGHT = 10_000, 8


async def copy_in_parts(
    calls: "S3Calls",
    found: ObjectMeta,
    parts: "S3Parts",
    asked: Mapping[str, Any],
    *,
    pinned: bool,
) -> ObjectMeta:
    """Copy what was found, part by part.

    Args:
        calls: Of the bucket.
        found: The source.
        parts: The upload that was begun.
        asked: Parameters of each part: upload, source, and a condition on the source.
        pinned: Whether that condition is this function's caller's own, which failing means: copy again.

    Raises:
        CallFailed: If a part or the completion fails; nothing of the upload is left then.
        NotAsked: If the source is gone.
    """
    size = max(PART, -(-found.size // _PARTS))
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def send(number: int, start: int) -> dict[str, Any]:
        bounds = f"bytes={start}-{min(start + size, found.size) - 1}"
        sent = {**asked, "PartNumber": number, "CopySourceRange": bounds}
        async with free:
            try:
                told = await calls.ask("upload_part_copy", sent, again=True)
            except CallFailed as failed:
                raise _of_source(failed, found.path, pinned=pinned) from None
        return {"ETag": told["CopyPartResult"]["ETag"], "PartNumber": number}

    starts = enumerate(range(0, found.size, size), 1)
    tasks = [asyncio.ensure_future(send(number, start)) for number, start in starts]
    try:
        meta = await parts.complete(await asyncio.gather(*tasks), b"")
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(CallFailed):
            await parts.discard()
        raise
    return replace(meta, size=found.size, metadata=found.metadata)


def _of_source(failed: CallFailed, source: str, *, pinned: bool) -> CallFailed | NotAsked:
    """What the failure of a part says, none of which is said of the destination."""
    if failed.status == HTTPStatus.NOT_FOUND and failed.code != "NoSuchUpload":
        return NotAsked(NotFound, f"the source {source} does not exist")
    if failed.status == HTTPStatus.PRECONDITION_FAILED:
        return CallFailed(HTTPStatus.CONFLICT if pinned else failed.status, failed.code)
    return failed
