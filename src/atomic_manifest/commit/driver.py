"""The blocking driver: performs the machine's requests on a store, one attempt each.

All decisions are the machine's (`commit.protocol`); this module only translates. A driver's values
become events; exceptions of reads become `Unanswered`, `EntryCorrupt` or `Failed`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.protocol import (
    Budget,
    CommitMachine,
    CreateEntry,
    EntriesRead,
    EntryConflict409,
    EntryCorrupt,
    EntryCreated,
    EntryRefused,
    EntryThrottled,
    Event,
    Failed,
    Moment,
    Outcome,
    ReadEntries,
    Request,
    Unanswered,
    Wait,
    Waited,
)
from atomic_manifest.env import Env
from atomic_manifest.errors import CorruptLog, NotFound, StoreError, StoreUnavailable
from atomic_manifest.log.entry import Entry, decode, entry_path
from atomic_manifest.store import driver as store_driver
from atomic_manifest.store.conditions import IfAbsent


@dataclass(frozen=True, slots=True)
class Report:
    """How a commit went.

    Attributes:
        outcome: See `commit.protocol.Outcome`.
        winners: Entries others committed since the base version, as far as they were read.
        attempts: PUTs of an entry.
    """

    outcome: Outcome
    winners: tuple[Entry, ...]
    attempts: int


def run(intent: Intent, store: store_driver.Driver, env: Env, budget: Budget) -> Report:
    """Drive `intent` to an outcome.

    Args:
        intent: The commit.
        store: Where the table is; one attempt per request, no retries of its own.
        env: Clock, randomness and sleep.
        budget: Bounds on attempts and time.
    """
    machine = CommitMachine(intent, budget, _moment(env))
    while (request := machine.request) is not None:
        event = _perform(request, store, env)
        machine.handle(event, _moment(env))
    assert machine.outcome is not None  # noqa: S101 - no request means an outcome
    progress = machine.progress
    return Report(machine.outcome, tuple(progress.winners), progress.sends)


def _moment(env: Env) -> Moment:
    return Moment(env.monotonic(), int(env.now() * 1000), env.random())


def _perform(request: Request, store: store_driver.Driver, env: Env) -> Event:
    match request:
        case CreateEntry(version, data):
            return _create(store, version, data)
        case ReadEntries(first, count):
            return _read(store, first, count)
        case Wait(seconds):
            env.sleep(seconds)
            return Waited()


def _create(store: store_driver.Driver, version: int, data: bytes) -> Event:
    try:
        outcome = store.put(entry_path(version), data, when=IfAbsent())
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
    if count == 1:
        return _first_run([_read_one(store, first)])
    with ThreadPoolExecutor(count, thread_name_prefix="atomic-manifest-read") as pool:
        return _first_run(list(pool.map(lambda version: _read_one(store, version), versions)))


def _first_run(results: list[Entry | StoreError | CorruptLog]) -> Event:
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
        case CorruptLog() as error:
            return EntryCorrupt(error)
        case error:
            assert isinstance(error, StoreError)  # noqa: S101 - entries are handled above
            return Failed(error)


def _read_one(store: store_driver.Driver, version: int) -> Entry | StoreError | CorruptLog:
    try:
        return decode(store.get(entry_path(version)).data, version)
    except (StoreError, CorruptLog) as error:
        return error
