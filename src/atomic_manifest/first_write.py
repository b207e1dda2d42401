"""The first commit of a table, when others may be making it too.

Version 0 is created like any other version, by a conditional PUT, so exactly one creator wins. A log
whose beginning was cleaned away has no version 0 either: that is why the log is listed first.

A log hides the files that it does not name. So none is begun over Parquet files of others: one page of a
listing tells, at creation only.
"""

import logging
import re
import uuid
from collections.abc import Callable
from itertools import islice

import pyarrow as pa

from atomic_manifest.commit.committer import Committer
from atomic_manifest.commit.messages import AlreadyCommitted, Budget, Committed
from atomic_manifest.commit.plan import Plan, same_layout
from atomic_manifest.commit.result import CommitResult
from atomic_manifest.env import Env
from atomic_manifest.errors import (
    DataError,
    SchemaMismatch,
    StorePermissionDenied,
    TableAlreadyExists,
    TableNotFound,
    UnsupportedByStore,
)
from atomic_manifest.handle import Handle, result_of
from atomic_manifest.log.entry import Entry
from atomic_manifest.log.metadata.schema import canonical
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.ops.create import TableSpec, create_intent
from atomic_manifest.ops.staged import Staged
from atomic_manifest.staging import WriteRequest, stage
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.safety.tables import check_safe, for_tables

_log = logging.getLogger("atomic_manifest")

_LISTED = 1000
"""Objects looked at for Parquet files: a page of a listing."""

_PARQUET = re.compile(r"\.(parquet|parq|pqt?)(\.[a-z0-9]+)?$", re.IGNORECASE)
"""With what some put behind it, such as `.gzip`."""

_OUR_NAME = re.compile(r"(^|\D)\d+-[0-9a-f]{32}\.[^.]+$")
"""Of data files: a sequence number and a commit id, whatever `write_dataset` was given around them."""


def create(store: ObjectStore, spec: TableSpec, *, env: Env, budget: Budget) -> Entry | None:
    """Create an empty table; gives its first entry, None if there is a table already.

    Raises:
        InvalidSchema, UnsupportedTableFeature: `spec` cannot be written; nothing was.
        DataError: There are Parquet files already.
    """
    staged = Staged(env.new_id(), int(env.now() * 1000))
    intent = create_intent(spec, staged, _guid(env))
    if _exists(store):
        return None
    _refuse_plain_files(store)
    store = for_tables(store)
    check_safe(store)
    report = Committer(store, env, budget).create(intent, ())
    return report.final if isinstance(report.outcome, Committed) else None


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
        DataError: There are Parquet files already.
    """
    table_id = _guid(env)
    create_intent(spec, Staged("", 0), table_id)  # refuses a bad spec before anything is uploaded
    _refuse_plain_files(store)
    store = for_tables(store)
    check_safe(store)
    staged = stage(
        store,
        env,
        reader,
        schema=canonical(spec.schema),
        partition_by=spec.partition_by,
        request=request,
        configuration=spec.configuration,
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


def _exists(store: ObjectStore) -> bool:
    try:
        load(store)
    except TableNotFound:
        return False
    return True


def _refuse_plain_files(store: ObjectStore) -> None:
    """Refuse to begin a log over Parquet files that it would hide.

    What Spark and pyarrow take for hidden does not count, and neither do files of our own names: a writer
    that was killed before it created the table leaves such, and its retry must not be refused.
    """
    try:
        found = next((m.path for m in islice(store.list(), _LISTED) if _is_plain(m.path)), None)
    except (UnsupportedByStore, StorePermissionDenied) as error:
        _log.debug("%s could not be listed for Parquet files: %s", store.url, error)
        return
    if found is None or _exists(store):  # they may be of somebody who created the table just now
        return
    raise DataError(
        f"{store.url} holds Parquet files that belong to no table, such as {found!r}; a table's log would "
        "hide their rows. Create the table elsewhere, and append them to it if they belong there: "
        "append(url, pyarrow.dataset.dataset(folder, partitioning='hive')) reads them in pieces",
        path=found,
    )


def _is_plain(path: str) -> bool:
    *folders, name = path.split("/")
    hidden = any(f.startswith(".") or (f.startswith("_") and "=" not in f) for f in folders)
    if hidden or name.startswith(("_", ".")):
        return False
    return bool(_PARQUET.search(name)) and not _OUR_NAME.search(name)


def _guid(env: Env) -> str:
    return str(uuid.UUID(env.new_id()))
