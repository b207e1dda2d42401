"""Whether the log is still the one that a snapshot was read from.

A table may be dropped under an open handle, and another be made in its place. Creating the entry after an
old snapshot's version would then leave a gap in the new log, or bring rows of the old table into the new
one. What tells is the entry of the snapshot's own version: it is there as long as the log is, and no other
has its bytes. On this machine it is read right before each commit; elsewhere beside the upload of the data,
with one attempt.

Error semantics: a store that does not answer proves nothing, and nothing is raised for it.
"""

from functools import partial
from threading import Thread  # noqa: TID251 - the type alone

from atomic_manifest.errors import (
    AtomicManifestError,
    CorruptLog,
    NotFound,
    StoreError,
    TableNotFound,
    TableReplaced,
)
from atomic_manifest.log.entry import MARKED_BYTES, Mark, decode, entry_path, mark_of
from atomic_manifest.log.rereading import READS, pause_before
from atomic_manifest.log.state.snapshot import Snapshot, load
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.store.passing import PassingDriver
from atomic_manifest.threads import in_background

_PATIENCE_SECONDS = 5.0
"""So long a commit waits at most for a look at the log, which proves nothing if it fails."""


def answers_at_once(store: ObjectStore) -> bool:
    """Whether reading an entry takes no request."""
    return store.url.startswith(("file:", "memory:"))


def check_same(store: ObjectStore, snapshot: Snapshot) -> Snapshot | None:
    """Check that the log is the one that a snapshot was read from.

    Args:
        store: Rooted at the table.
        snapshot: What was read.

    Returns:
        The newest snapshot, if log clean-up has removed the entry of this one; else None.

    Raises:
        TableReplaced: The table was dropped, or dropped and made anew.
    """
    try:
        if _is_same(store, snapshot):
            return None
    except NotFound:
        return _newest(store, snapshot)
    except StoreError:
        return None
    raise replaced(store, f"version {snapshot.version} is another one")


def check_newer(store: ObjectStore, before: Snapshot, after: Snapshot) -> None:
    """Check that a snapshot just loaded is of the same table as one that was known.

    Some engines give a table another id when they replace its definition, in the log that it has.

    Raises:
        TableReplaced: It is not.
    """
    if after.metadata.id != before.metadata.id and not _is_there(store, before):
        raise replaced(store, f"its id is {after.metadata.id} and was {before.metadata.id}")
    if after.version < before.version:
        raise replaced(store, f"its newest version is {after.version} and was {before.version}")


class Look:
    """A look at the log that is under way beside other work.

    Args:
        store: Rooted at the table.
        snapshot: See `check_same`.

    Attributes:
        begun_at: When it began, by the monotonic clock of the store's `env`.
    """

    def __init__(self, store: ObjectStore, snapshot: Snapshot) -> None:
        self.begun_at = store.env.monotonic()
        self._look = partial(check_same, store, snapshot)
        self._newest: Snapshot | None = None
        self._error: BaseException | None = None
        self._thread: Thread | None = None
        if answers_at_once(store):
            self._run()
        else:
            self._thread = in_background("look", self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._newest = self._look()
        except BaseException as error:  # noqa: BLE001 - raised to whoever asks
            self._error = error

    def result(self) -> Snapshot | None:
        """What `check_same` gave, if it did in time. Raises as it does."""
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)
        if self._error is not None:
            raise self._error
        return self._newest


def replaced(store: ObjectStore, why: str) -> TableReplaced:
    """The error, with what shows it."""
    return TableReplaced(
        f"the table at {store.url} is not the one that was opened, which was dropped: {why}. Nothing was "
        "committed; open the table again",
        url=store.url,
    )


def _is_there(store: ObjectStore, snapshot: Snapshot) -> bool:
    try:
        return _is_same(store, snapshot)
    except NotFound:
        return False


def _is_same(store: ObjectStore, snapshot: Snapshot) -> bool:
    """Whether the entry is the one that was read; what differs is read again first."""
    again = 1
    while True:
        data, mark = _read(store, snapshot.version)
        if snapshot.mark is None:
            return _adopt(snapshot, data, mark)
        if mark == snapshot.mark:
            return True
        if again == READS:
            return False
        pause_before(store.env, again)
        again += 1


def _adopt(snapshot: Snapshot, data: bytes, mark: Mark) -> bool:
    """Take an entry that was not read before for the right one, unless it says that it is not."""
    try:
        entry = decode(data, snapshot.version)
    except CorruptLog:  # or only its beginning
        return True
    own = snapshot.metadata.id
    if entry.table not in (None, own) or (entry.metadata is not None and entry.metadata.id != own):
        return False
    snapshot.mark = mark
    return True


def _read(store: ObjectStore, version: int) -> tuple[bytes, Mark]:
    driver = _innermost(store) if answers_at_once(store) else store.driver
    found = driver.get(entry_path(version), range=(0, MARKED_BYTES))
    return found.data, mark_of(found.data, found.meta.size)


def _innermost(store: ObjectStore) -> Driver:
    driver = store.driver
    while isinstance(driver, PassingDriver):
        driver = driver.inner
    return driver


def _newest(store: ObjectStore, snapshot: Snapshot) -> Snapshot:
    try:
        newest = load(store)
    except TableNotFound as error:
        raise replaced(store, "there is no log") from error
    except AtomicManifestError as error:
        raise replaced(store, f"version {snapshot.version} is gone") from error
    check_newer(store, snapshot, newest)
    return newest
