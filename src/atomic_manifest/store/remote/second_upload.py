"""A conditional multipart upload by the second client, for callers in threads and in tasks.

The condition is asked when the upload is completed, on Google Cloud Storage also when it begins. It is
an upload in parts, however small the object: a service may honour a condition at the completion of
one and ignore it on a put. Only what is empty, of which no part can be made, goes as a put.
"""

from collections.abc import Callable, Mapping

from atomic_manifest.store.conditions import Condition
from atomic_manifest.store.driver import Data, WriteOutcome
from atomic_manifest.store.filesystem.bucket import FilesystemBucket
from atomic_manifest.store.filesystem.upload import FilesystemUpload
from atomic_manifest.store.remote.second_client import SecondClient


class SecondUpload:
    """An upload in progress.

    Args:
        client: Sends it.
        path: The object's.
        when: Its condition.
        metadata: To go with it.
        part_size: Bytes of a part.
        max_in_flight: Parts on their way at once.
    """

    def __init__(
        self,
        client: SecondClient,
        path: str,
        *,
        when: Condition | None,
        metadata: Mapping[str, str] | None,
        part_size: int,
        max_in_flight: int,
    ) -> None:
        self._client = client
        self._upload: FilesystemUpload | None = None
        self._start: Callable[[FilesystemBucket], FilesystemUpload] = lambda bucket: (
            bucket.start_upload(
                path, part_size=part_size, max_in_flight=max_in_flight, when=when, metadata=metadata
            )
        )

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        self._client.run(lambda bucket: self._started(bucket).write(data))

    def flush(self) -> None:
        """Send what was written, so that `finish` only completes; for the probe."""
        self._client.run(lambda bucket: self._started(bucket).flush())

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        return self._client.run(lambda bucket: self._started(bucket).finish())

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        self._client.run(lambda bucket: self._started(bucket).abort())

    def _started(self, bucket: FilesystemBucket) -> FilesystemUpload:
        if self._upload is None:
            self._upload = self._start(bucket)
        return self._upload


class AsyncSecondUpload(SecondUpload):
    """The same for tasks."""

    async def write(self, data: Data) -> None:  # type: ignore[override]
        """See `DriverUpload.write`."""
        await self._client.run_async(lambda bucket: self._started(bucket).write(data))

    async def finish(self) -> WriteOutcome:  # type: ignore[override]
        """See `DriverUpload.finish`."""
        return await self._client.run_async(lambda bucket: self._started(bucket).finish())

    async def abort(self) -> None:  # type: ignore[override]
        """See `DriverUpload.abort`."""
        await self._client.run_async(lambda bucket: self._started(bucket).abort())
