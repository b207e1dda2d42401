"""The blocking driver: performs the machine's requests on a store, one attempt each.

All decisions are the machine's (`commit.protocol`); this module only translates. A driver's values
become events; exceptions of reads become `Unanswered`, `EntryCorrupt` or `Failed`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import (
    Budget,
    CreateEntry,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Event,
    Failed,
    IntentPosted,
    IntentsListed,
    IntentsRead,
    ListIntents,
    Moment,
    Outcome,
    PostIntent,
    ReadEntries,
    ReadIntents,
    Unanswered,
    Wait,
    Waited,
)
from atomic_manifest.commit.posted import FOLDER
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.env import Env
from atomic_manifest.errors import CorruptLog, NotFound, StoreError, StoreUnavailable
from atomic_manifest.log.entry import Entry, decode, entry_path
from atomic_manifest.store import driver as store_driver
from atomic_manifest.store.conditions import IfAbsent
from atomic_manifest.threads import in_parallel

_READERS = 64

StoreRequest: TypeAlias = CreateEntry | ReadEntries | PostIntent | ListIntents | ReadIntents


@dataclass(frozen=True, slots=True)
class Report:
    """How a commit went.

    Attributes:
        outcome: See `commit.protocol.Outcome`.
        winners: Entries others committed since the base version, as far as they were read.
        attempts: PUTs of an entry.
        final: The entry that holds the commit, if it is in the log.
        combined: Whether that entry holds commits of others too.
        created: Whether that entry was created by this machine.
        litter: Keys of posted intents to delete.
        memory: For the writer's next commit.
    """

    outcome: Outcome
    winners: tuple[Entry, ...]
    attempts: int
    final: Entry | None
    combined: bool
    created: bool
    litter: tuple[str, ...]
    memory: Memory

    @classmethod
    def of(cls, machine: CommitMachine) -> "Report":
        """The account of a machine that has come to its end."""
        assert machine.outcome is not None  # noqa: S101 - that is its end
        progress = machine.progress
        return cls(
            machine.outcome,
            progress.winners,
            progress.sends,
            progress.final,
            progress.combined,
            progress.created,
            progress.litter,
            progress.memory(),
        )


def run(
    intent: Intent,
    store: store_driver.Driver,
    env: Env,
    budget: Budget,
    memory: Memory | None = None,
    *,
    revoke: bool = False,
    begin: Callable[[CommitMachine], None] | None = None,
) -> Report:
    """Drive `intent` to an outcome.

    Args:
        intent: The commit.
        store: Where the table is; one attempt per request, no retries of its own.
        env: Clock, randomness and sleep.
        budget: Bounds on attempts and time.
        memory: What the writer remembers of its last commit.
        revoke: Commit a revocation instead, unless the intent turns out to be in the log.
        begin: Given the machine before anything is sent: it knows what was, if the caller is interrupted.
    """
    machine = CommitMachine(intent, budget, moment(env), memory, revoke=revoke)
    if begin is not None:
        begin(machine)
    while (request := machine.request) is not None:
        if isinstance(request, Wait):
            env.sleep(request.seconds)
            event: Event = Waited()
        else:
            event = perform(request, store)
        machine.handle(event, moment(env))
    return Report.of(machine)


def moment(env: Env) -> Moment:
    """Now, as the machine sees it."""
    return Moment(env.monotonic(), int(env.now() * 1000), env.random())


def perform(request: StoreRequest, store: store_driver.Driver) -> Event:
    """Carry out one request on the store, and say what came of it."""
    match request:
        case CreateEntry(version, data):
            return _create(store, version, data)
        case ReadEntries(first, count):
            return _read(store, first, count)
        case PostIntent(key, data):
            return _post(store, key, data)
        case ListIntents():
            return _list(store)
        case ReadIntents(keys):
            return _gather(store, keys)


def _create(store: store_driver.Driver, version: int, data: bytes) -> Event:
    try:
        outcome = store.put(entry_path(version), data, when=IfAbsent())
    except store_driver.NeverSent as error:
        return Failed(error)
    except StoreUnavailable as error:
        return Unanswered(error)
    except StoreError as error:
        return Failed(error)
    match outcome:
        case store_driver.Written():
            return EntryCreated()
        case store_driver.Refused():
            return EntryRefused()
        case store_driver.Contended(store_driver.ContendedCause.CONFLICT):
            return EntryConflict409()
        case store_driver.Contended():
            return EntryThrottled()
        case store_driver.Unanswered(cause):
            return Unanswered(cause)


def _read(store: store_driver.Driver, first: int, count: int) -> Event:
    versions = range(first, first + count)
    return _first_run(
        in_parallel("read", lambda version: _read_one(store, version), versions, count)
    )


def _post(store: store_driver.Driver, key: str, data: bytes) -> Event:
    try:
        outcome = store.put(key, data)
    except StoreUnavailable as error:
        return Unanswered(error)
    except StoreError as error:
        return Failed(error)
    match outcome:
        case store_driver.Written():
            return IntentPosted()
        case store_driver.Unanswered(cause):
            return Unanswered(cause)
        case _:
            return Unanswered()


def _list(store: store_driver.Driver) -> Event:
    try:
        found = list(store.list(FOLDER))
    except StoreUnavailable as error:
        return Unanswered(error)
    except StoreError as error:
        return Failed(error)
    return IntentsListed(
        tuple(sorted(meta.path for meta in found)),
        {meta.path: meta.size for meta in found},
        {m.path: m.last_modified.timestamp() for m in found if m.last_modified is not None},
    )


def _gather(store: store_driver.Driver, keys: Sequence[str]) -> Event:
    def read(key: str) -> bytes | None:
        try:
            return bytes(store.get(key).data)
        except StoreError:
            return None

    found = zip(keys, in_parallel("read", read, keys, _READERS), strict=True)
    return IntentsRead({key: data for key, data in found if data is not None})


def _first_run(results: list[Entry | StoreError | EntryCorrupt]) -> Event:
    """What the leading results say: entries up to the first gap, or why there is not even one."""
    entries: list[Entry] = []
    for result in results:
        if not isinstance(result, Entry):
            break
        entries.append(result)
    if entries:
        return EntriesRead(tuple(entries))
    match results[0]:
        case NotFound():
            return EntriesRead(())
        case StoreUnavailable() as error:
            return Unanswered(error)
        case EntryCorrupt() as corrupt:
            return corrupt
        case error:
            assert isinstance(error, StoreError)  # noqa: S101 - entries are handled above
            return Failed(error)


def _read_one(store: store_driver.Driver, version: int) -> Entry | StoreError | EntryCorrupt:
    try:
        data = store.get(entry_path(version)).data
    except StoreError as error:
        return error
    try:
        return decode(data, version)
    except CorruptLog as error:
        return EntryCorrupt(error, error.damaged, data)
