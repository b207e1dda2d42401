"""The first commit of a table, when others may be making it too.

Version 0 is created like any other version, by a conditional PUT, so exactly one creator wins. A log
whose beginning was cleaned away has no version 0 either: that is why the log is listed first.
"""

import uuid
from collections.abc import Callable

import pyarrow as pa

from atomic_manifest.commit.committer import Committer
from atomic_manifest.commit.messages import AlreadyCommitted, Budget, Committed
from atomic_manifest.commit.plan import Plan, same_layout
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.env import Env
from atomic_manifest.errors import SchemaMismatch, TableAlreadyExists, TableNotFound
from atomic_manifest.handle import Handle, result_of
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.metadata.schema import canonical
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.ops.create import TableSpec, create_intent
from atomic_manifest.ops.staged import Staged
from atomic_manifest.staging import WriteRequest, stage
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.safety.tables import check_safe, for_tables


def create(store: ObjectStore, spec: TableSpec, *, env: Env, budget: Budget) -> Entry | None:
    """Create an empty table; gives its first entry, None if there is a table already.

    Raises:
        InvalidSchema, UnsupportedTableFeature: `spec` cannot be written; nothing was.
    """
    staged = Staged(env.new_id(), int(env.now() * 1000))
    intent = create_intent(spec, staged, _guid(env))
    try:
        load(store)
    except TableNotFound:
        store = for_tables(store)
        check_safe(store)
        report = Committer(store, env, budget).create(intent, ())
        return report.final if isinstance(report.outcome, Committed) else None
    return None


def write_first(
    store: ObjectStore,
    spec: TableSpec,
    reader: pa.RecordBatchReader,
    request: WriteRequest,
    plan_of: Callable[[Staged], Plan] | None,
    *,
    env: Env,
    budget: Budget,
) -> CommitResult:
    """Create a table with `reader`'s rows in it, in one entry.

    Args:
        store: Where no table was found.
        spec: The table to create.
        reader: Its first rows.
        request: How to write them.
        plan_of: What to do with the rows if somebody else creates the table first; None to refuse.
        env: Clock, randomness and ids.
        budget: Bounds of the commit.

    Raises:
        SchemaMismatch: Somebody else created another kind of table.
        TableAlreadyExists: Somebody else created the table, and there is no plan for that.
        InvalidSchema, UnsupportedTableFeature: `spec` cannot be written; nothing was.
    """
    table_id = _guid(env)
    create_intent(spec, Staged("", 0), table_id)  # refuses a bad spec before anything is uploaded
    store = for_tables(store)
    check_safe(store)
    staged = stage(
        store,
        env,
        reader,
        schema=canonical(spec.schema),
        partition_by=spec.partition_by,
        request=request,
    )
    committer = Committer(store, env, budget)
    intent = create_intent(spec, staged, table_id)
    match committer.create(intent, staged.adds).outcome:
        case Committed(version):
            return result_of(staged, version, attempts=1)
        case AlreadyCommitted(version):
            return result_of(staged, version, attempts=1, repeated=True)
    if plan_of is None:
        committer.discard(staged.adds)
        raise already_exists(store)
    with committer.discarding(staged.adds):
        handle = Handle(store, load(store), env, budget)
        snapshot = handle.writable()
    if not same_layout(spec.metadata(table_id, 0), snapshot.metadata):
        committer.discard(staged.adds)
        raise SchemaMismatch(
            f"somebody else created a table with another schema or partitioning at {store.url}",
            columns=tuple(snapshot.schema.names),
        )
    return handle.commit(plan_of(staged), snapshot, staged)


def already_exists(store: ObjectStore) -> TableAlreadyExists:
    """The error that says where there is a table already."""
    return TableAlreadyExists(f"there is a table at {store.url}", url=store.url)


def _guid(env: Env) -> str:
    return str(uuid.UUID(env.new_id()))
