"""Intents as another process may have posted them, sound and not, and what a reader makes of an entry."""

import json
import random

import msgspec
import pyarrow as pa

from atomic_manifest.commit.combine import Candidate
from atomic_manifest.commit.posted import LIFETIME, encode_intent, key_of
from atomic_manifest.log.actions import Metadata, Protocol, Txn
from atomic_manifest.log.entry import Entry, decode, encode, entry_path
from atomic_manifest.log.metadata import partition
from atomic_manifest.log.metadata.schema import to_delta
from atomic_manifest.log.pruning.predicate import And, Comparison, IsNull
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store import ObjectStore
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import FakeEnv
from tests.commit.actions import add, intent, remove, rows, stats
from tests.damage import with_another_value, with_other_bytes

SCHEMA = pa.schema([("x", pa.int64()), ("p", pa.int8()), ("d", pa.date32())])
METADATA = Metadata(id="t", schema_string=to_delta(SCHEMA), partition_columns=["p", "d"])
VALUES = {"p": "1", "d": "2024-02-29"}


def file(path, **fields):
    """An `add` that fits the table."""
    return msgspec.structs.replace(add(path), partition_values=VALUES, stats=stats(1, 2), **fields)


def wanted(commit_id="theirs", *actions, base=0, **fields):
    """An intent of a writer of this table."""
    given = actions or (file(f"p=1/{commit_id}.parquet"),)
    fields = {"base_version": base, "base_metadata": METADATA} | fields
    return intent(*given, commit_id=commit_id, **fields)


def posted(commit_id="theirs", *actions, **fields):
    """The key and the bytes of an intent that was posted."""
    intent_ = wanted(commit_id, *actions, **fields)
    key, expires = key_of(intent_), intent_.base_version + LIFETIME
    return key, encode_intent(Candidate(intent_, encode(intent_.actions), key, expires))


def changed(header=(), body=None, commit_id="theirs"):
    """An intent with other fields in its header, and another body."""
    key, data = posted(commit_id)
    line, _, lines = data.partition(b"\n")
    line = json.dumps(json.loads(line) | dict(header)).encode()
    return key, line + b"\n" + (lines if body is None else body)


def with_file(**fields):
    """An intent whose file has other fields; None leaves one out."""
    key, data = posted()
    line, _, body = data.partition(b"\n")
    file = json.loads(body)["add"] | fields
    text = json.dumps({"add": {k: v for k, v in file.items() if v is not None}})
    return key, line + b"\n" + text.replace(": ", ":").replace(", ", ",").encode() + b"\n"


SAMPLES = [
    posted(),
    posted("a", Txn(app_id="x", version=1), file("f"), txn=("x", 1)),
    posted(
        "b",
        remove(partition_values=VALUES),
        reads=rows(And((Comparison("x", "<", 3), IsNull("p")))),
    ),
    posted("c", user_info={"who": {"is": ["it", 1, 2.5, None]}}, parameters={"mode": "Append"}),
]


def damaged(seed):
    """One of the samples with random damage: to its bytes, or to a value in it."""
    source = random.Random(seed)
    key, data = source.choice(SAMPLES)
    if source.random() < 0.4:
        return key, with_other_bytes(source, data)
    lines = data.removesuffix(b"\n").split(b"\n")
    at = source.randrange(len(lines))
    lines[at] = with_another_value(source, lines[at])
    return key, b"\n".join(lines) + source.choice([b"\n", b"\n", b"", b"\n\n", b" \n"])


def table():
    """A store that holds such a table at version 0."""
    store = ObjectStore(MemoryDriver(env=FakeEnv()), env=FakeEnv())
    first = encode([Protocol(min_reader_version=1, min_writer_version=2), METADATA])
    store.put(entry_path(0), first)
    return store


def read_all(store):
    """All files of the table, read as a reader of rows would read the log."""
    files = load(store).files()
    for values in files["partition_values"].to_pylist():
        assert {name for name, _ in values} == {*METADATA.partition_columns}
        for name, text in values:
            partition.parse(text, SCHEMA.field(name).type)
    return files["path"].to_pylist()


def check_readable(data: bytes, version: int) -> Entry:
    """Read an entry's bytes as the entry that follows the first one of a table."""
    store = table()
    entry = decode(data, version)
    for number in range(1, version):
        store.put(entry_path(number), encode([Txn(app_id="before", version=number)]))
    store.put(entry_path(version), data)
    read_all(store)
    return entry
