"""A multipart upload through obstore's buffered writer.

obstore sends parts in the background, lets a writer wait while `max_concurrency` of them are under
way, releases the GIL meanwhile, and keeps the upload after a failed part, so that it can be aborted.
When the upload fails while it is being finished, obstore aborts it itself.
"""

from functools import partial
from typing import TYPE_CHECKING

from atomic_manifest.errors import StoreUnavailable
from atomic_manifest.store.driver import Data, ObjectMeta, Unanswered, WriteOutcome, Written
from atomic_manifest.store.remote.terms import Terms

if TYPE_CHECKING:
    from obstore import WritableFile


class RemoteUpload:
    """A multipart upload in progress; retries of parts are obstore's.

    Args:
        path: The object's path.
        writer: obstore's writer of it.
        terms: Turn the SDK's failures into errors.
    """

    def __init__(
        self,
        path: str,
        writer: "WritableFile",
        terms: Terms,
    ) -> None:
        self._path = path
        self._writer: WritableFile | None = writer
        self._terms = terms
        self._size = 0

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        assert self._writer is not None, "the upload is over"  # noqa: S101 - misuse, not input
        self._size += self._terms.asked(self._path, partial(self._writer.write, data))

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`. The result tells neither ETag nor time."""
        writer, self._writer = self._writer, None
        assert writer is not None, "the upload is over"  # noqa: S101 - misuse, not input
        try:
            self._terms.asked(self._path, writer.close)
        except StoreUnavailable as error:
            return Unanswered(error)
        return Written(ObjectMeta(self._path, self._size))

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        writer, self._writer = self._writer, None
        if writer is not None:
            leave = partial(writer.__exit__, Exception, None, None)
            self._terms.asked(self._path, leave)
