"""Whether a commit that won a version conflicts with one that wants a later version.

Pure rules. `check` runs them in a fixed order and returns every conflict found:

1. the winner created the table that the intent wants to create;
2. the winner changed the protocol;
3. the winner changed metadata that matters to a writer;
4. the winner removed a file that the intent removes too;
5. the winner removed rows that the intent read;
6. the winner added rows where the intent read (at `WriteSerializable` a blind append passes, unless
   the intent changes metadata);
7. the winner set the same domain's metadata.

Whether rows of a file are among those an intent read (rules 5 and 6) is settled by the first of these
that can: the file's partition values, its statistics against the predicate, and else the file as a
whole, which then counts as read. So a `remove` that tells neither partition values nor statistics
counts as read, and commits to an unpartitioned table whose statistics prove them disjoint do not
conflict. What a winner read is not asked: if it wrote where the intent did not read, the two can be
put in order, the winner first.

The verdict is monotone: it depends on the intent and that one entry alone, so an intent that conflicts
with an entry conflicts with it for ever. A repeated `txn` is no conflict but a commit that is *already
done* (`repeats_txn`). A `txn` below the recorded one is neither: nobody knows whether that piece of
work was done, and it can be recorded no more (`overtaken_txn`). A winner with `dataChange=false` moves
rows and changes none: it conflicts only by rule 4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from atomic_manifest.commit.intent import (
    NO_TABLE,
    Intent,
    Isolation,
    PartitionValues,
    ReadNothing,
    ReadPartitions,
    ReadRows,
    ReadTable,
)
from atomic_manifest.log.actions import Add, DomainMetadata, Metadata, Remove
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.pruning.predicate import FileFacts, may_match


class ConflictKind(Enum):
    """What kind of conflict, in the words of the Delta documentation where it has one."""

    TABLE_CREATED = "TableCreated"
    PROTOCOL_CHANGED = "ProtocolChanged"
    METADATA_CHANGED = "MetadataChanged"
    DELETE_DELETE = "ConcurrentDeleteDelete"
    DELETE_READ = "ConcurrentDeleteRead"
    APPEND = "ConcurrentAppend"
    DOMAIN_METADATA = "ConcurrentDomainMetadata"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One reason why an intent cannot follow an entry.

    Attributes:
        kind: See `ConflictKind`.
        version: The entry's version.
        detail: What exactly met: a file, a partition, a property.
        with_foreign: Whether another library committed the entry: its writers do not step back.
    """

    kind: ConflictKind
    version: int
    detail: str
    with_foreign: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind.value} at version {self.version}: {self.detail}"


# Properties that steer maintenance or reading and never make a written file or entry wrong. A change
# to any other property is one that a writer may have to obey.
_HARMLESS_PROPERTIES = (
    "delta.autoOptimize.",
    "delta.checkpoint",
    "delta.compatibility.",
    "delta.dataSkipping",
    "delta.deletedFileRetentionDuration",
    "delta.enableExpiredLogCleanup",
    "delta.logRetentionDuration",
    "delta.parquet.",
    "delta.randomize",
    "delta.sampleRetentionDuration",
    "delta.setTransactionRetentionDuration",
    "delta.targetFileSize",
    "delta.tuneFileSizesForRewrites",
)


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A transaction that is older than what the log records of its application.

    Attributes:
        app_id: The application.
        given: The version of the transaction.
        recorded: The version in the log.
    """

    app_id: str
    given: int
    recorded: int


def repeats_txn(intent: Intent, entry: Entry) -> bool:
    """Whether `entry` already recorded one of the intent's transactions."""
    if not entry.txns:
        return False
    recorded = {txn.app_id: txn.version for txn in entry.txns}
    return any(recorded.get(txn.app_id) == txn.version for txn in intent.txns)


def overtaken_txn(intent: Intent, entry: Entry) -> Overtaken | None:
    """The first of the intent's transactions of whose application `entry` recorded a later one."""
    if not entry.txns:
        return None
    recorded = {txn.app_id: txn.version for txn in entry.txns}
    for txn in intent.txns:
        if (latest := recorded.get(txn.app_id, txn.version)) > txn.version:
            return Overtaken(txn.app_id, txn.version, latest)
    return None


def check(intent: Intent, entry: Entry) -> tuple[Conflict, ...]:
    """Every conflict between `intent` and an entry committed after the intent's base version."""
    found = (
        *_table_created(intent, entry),
        *_protocol_changed(intent, entry),
        *_metadata_changed(intent, entry),
        *_deletes_the_same(intent, entry),
        *_deleted_what_was_read(intent, entry),
        *_added_where_was_read(intent, entry),
        *_same_domain(intent, entry),
    )
    foreign = not entry.commits
    return tuple(
        Conflict(kind, entry.version, detail, with_foreign=foreign) for kind, detail in found
    )


def both_remove(entry: Entry, paths: Iterable[str]) -> tuple[Conflict, ...]:
    """The conflicts of an intent that removes files which `entry` removes, too."""
    return tuple(
        Conflict(
            ConflictKind.DELETE_DELETE,
            entry.version,
            f"both remove the file {path}",
            with_foreign=not entry.commits,
        )
        for path in paths
    )


_Found = Iterator[tuple[ConflictKind, str]]


def _table_created(intent: Intent, entry: Entry) -> _Found:
    if intent.base_version == NO_TABLE and entry.version == 0:
        yield ConflictKind.TABLE_CREATED, "the table exists"


def _protocol_changed(intent: Intent, entry: Entry) -> _Found:
    if entry.protocol is None or intent.base_version == NO_TABLE:
        return
    if intent.changes_metadata or entry.protocol != intent.base_protocol:
        yield ConflictKind.PROTOCOL_CHANGED, "the table's protocol was changed"


def _metadata_changed(intent: Intent, entry: Entry) -> _Found:
    if entry.metadata is None or intent.base_version == NO_TABLE:
        return
    if intent.changes_metadata or intent.base_metadata is None:
        yield ConflictKind.METADATA_CHANGED, "both change the table's metadata"
        return
    for what in differences(intent.base_metadata, entry.metadata):
        yield ConflictKind.METADATA_CHANGED, f"{what} was changed"


def differences(base: Metadata, new: Metadata) -> Iterator[str]:
    """What of `new` a writer that knows only `base` would get wrong."""
    if base.schema_string != new.schema_string:
        yield "the schema"
    if list(base.partition_columns) != list(new.partition_columns):
        yield "the partitioning"
    for name in sorted(base.configuration.keys() | new.configuration.keys()):
        changed = base.configuration.get(name) != new.configuration.get(name)
        if changed and name.startswith("delta.") and not name.startswith(_HARMLESS_PROPERTIES):
            yield f"the property {name}"


def _deletes_the_same(intent: Intent, entry: Entry) -> _Found:
    removed = intent.removed_paths
    if not removed:
        return
    for remove in entry.removes:
        if remove.path in removed:
            yield ConflictKind.DELETE_DELETE, f"both remove the file {remove.path}"


def _deleted_what_was_read(intent: Intent, entry: Entry) -> _Found:
    changes = [remove for remove in entry.removes if remove.data_change]
    for path in _read_by(intent, changes):
        yield ConflictKind.DELETE_READ, f"the rows of {path} were read, and removed meanwhile"


def _added_where_was_read(intent: Intent, entry: Entry) -> _Found:
    # Blind appends may pass for later ones, unless they were written for metadata that is replaced.
    passes = intent.isolation is Isolation.WRITE_SERIALIZABLE and not intent.changes_metadata
    if passes and entry.blind_append:
        return
    changes = [add for add in entry.adds if add.data_change]
    for path in _read_by(intent, changes):
        yield ConflictKind.APPEND, f"rows were added where was read: {path}"


def _read_by(intent: Intent, files: Iterable[Add | Remove]) -> Iterator[str]:
    """The paths among `files` whose rows belong to what the intent read."""
    match intent.reads:
        case ReadNothing():
            return
        case ReadTable():
            yield from (file.path for file in files)
        case ReadPartitions(partitions):
            read = {_canonical(partition) for partition in partitions}
            for file in files:
                # A remove may leave its partition out; then it has to count as read.
                values = file.partition_values
                if values is None or _canonical(values.items()) in read:
                    yield file.path
        case ReadRows(predicate, types):
            for file in files:
                facts = FileFacts(file.partition_values or {}, file.stats, types)
                if may_match(predicate, facts):
                    yield file.path


def _canonical(values: Iterable[tuple[str, str | None]]) -> PartitionValues:
    """Null in one form only: an empty string means null too (protocol, "Partition Value Serialization").

    And names in one case: foreign ones may be in another.
    """
    return frozenset((column.lower(), value or None) for column, value in values)


def _same_domain(intent: Intent, entry: Entry) -> _Found:
    mine = {action.domain for action in intent.actions if isinstance(action, DomainMetadata)}
    for action in entry.domain_metadata:
        if action.domain in mine:
            yield ConflictKind.DOMAIN_METADATA, f"both set the domain {action.domain}"
