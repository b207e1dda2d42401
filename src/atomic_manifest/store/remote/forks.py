"""Whether obstore can still be asked in this process.

obstore sends its requests from threads of its own, which begin with the first request. A fork copies
no threads: whatever a forked process asked obstore would wait for ever. There the second client, whose
threads fsspec begins anew, is asked everything.
"""

import os

from atomic_manifest.errors import UnsupportedByStore


class Threads:
    """obstore's threads in this process.

    Attributes:
        lost: Whether they began in a process that this one was forked from.
    """

    def __init__(self) -> None:
        self._begun = False
        self.lost = False
        if hasattr(os, "register_at_fork"):  # Windows knows no fork
            os.register_at_fork(after_in_child=self._forked)

    def need(self) -> None:
        """Begin them, if they have not.

        Raises:
            UnsupportedByStore: If they are lost.
        """
        if self.lost:
            raise UnsupportedByStore(
                "obstore cannot be asked in a process that was forked after its first request: start"
                " processes by `spawn` or `forkserver`",
                path="",
            )
        self._begun = True

    def _forked(self) -> None:
        self.lost = self.lost or self._begun


THREADS = Threads()
