"""An upload that waits on the local disk until it is finished, for services that take objects whole.

Up to one part is kept in memory, the rest in a temporary file that has no name where the system allows.
"""

import tempfile
from collections.abc import Callable
from typing import IO

from atomic_manifest.store.driver import Data, WriteOutcome


class SpooledUpload:
    """An upload kept aside. See `DriverUpload`.

    Args:
        put: Writes the object from a file that is at its start, given also its size.
        memory: Bytes to keep in memory.
    """

    def __init__(self, put: Callable[[IO[bytes], int], WriteOutcome], memory: int) -> None:
        self._put = put
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)  # noqa: SIM115 - closed at the end
        self._size = 0

    def write(self, data: Data) -> None:
        """See `DriverUpload.write`."""
        self._size += self._file.write(data)

    def finish(self) -> WriteOutcome:
        """See `DriverUpload.finish`."""
        self._file.seek(0)
        outcome = self._put(self._file, self._size)
        self._file.close()
        return outcome

    def abort(self) -> None:
        """See `DriverUpload.abort`."""
        self._file.close()
