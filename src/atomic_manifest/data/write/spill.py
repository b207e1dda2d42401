"""Rows that wait on the local disk until their row group is whole.

A `Run` is a temporary file in Arrow's IPC format that holds rows of many partitions, a batch each. It
has no name once it is written, where the system allows, so nothing of it survives the process; its
space is free again when the last of its rows was read, or the run is closed.

Error semantics: `DataError` naming the folder if the disk takes no more.
"""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from atomic_manifest.errors import DataError
from atomic_manifest.forks import lock

_CODEC = "lz4"


class Run:
    """One temporary file of batches. Safe to read from several threads.

    Args:
        batches: What it holds, at least one, all of one schema. Each is let go once it is written.

    Raises:
        DataError: It cannot be written.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._lock = lock()
        try:
            handle, self._path = tempfile.mkstemp(prefix="atomic-manifest-", suffix=".arrow")
        except OSError as error:
            raise _refused(error) from error
        os.close(handle)
        try:
            _write(self._path, batches)
            self._file = pa.OSFile(self._path)
            self._reader = pa.ipc.open_file(self._file)
        except OSError as error:
            raise _refused(error) from error
        finally:
            # Where the system allows: there, an open file needs no name.
            with suppress(OSError):
                Path(self._path).unlink()

    def read(self, index: int) -> pa.RecordBatch:
        """The batch at a position among those given."""
        with self._lock:
            return self._reader.get_batch(index)

    def close(self) -> None:
        """Free the space. Nothing can be read any more."""
        self._file.close()
        Path(self._path).unlink(missing_ok=True)


def _write(path: str, batches: Iterable[pa.RecordBatch]) -> None:
    rest = iter(batches)
    first = next(rest)
    options = pa.ipc.IpcWriteOptions(compression=_CODEC)
    with pa.ipc.new_file(path, first.schema, options=options) as writer:
        writer.write_batch(first)
        for batch in rest:
            writer.write_batch(batch)


def _refused(error: OSError) -> DataError:
    folder = tempfile.gettempdir()
    return DataError(f"rows cannot be kept aside in {folder}: {error.strerror or error}")


@dataclass(frozen=True, slots=True)
class Spilled:
    """Rows in a run, in the place of a batch.

    Attributes:
        run: Where they are.
        index: Of their batch.
        num_rows: How many.
        nbytes: What they take in memory.
    """

    run: Run
    index: int
    num_rows: int
    nbytes: int

    def load(self) -> pa.RecordBatch:
        """The rows."""
        return self.run.read(self.index)
