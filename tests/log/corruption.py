"""Small tables of several layouts, damage to files of their logs, and what a reader makes of it.

Of a table that this library wrote all damage is detected or harmless, with one exception: nothing of a
log tells that its newest entries are gone, which is then an older version of the table. Of other
engines' tables it depends on what they seal (`docs/design/corruption.md`).
"""

import json
import random
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from atomic_manifest.errors import AtomicManifestError, LogError, StoreError
from atomic_manifest.log.entry import LOG_FOLDER
from atomic_manifest.log.folder.hint import HINT_PATH
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.testing import FakeEnv

Objects = Mapping[str, bytes]
Content = tuple[object, ...]


class Verdict(Enum):
    """What came of damage."""

    DETECTED = "detected"
    HARMLESS = "harmless"
    ROLLED_BACK = "rolled back"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Layout:
    """A table.

    Attributes:
        name: What is special about it.
        objects: All files of its log.
        sealed: Whether every file of it carries a seal, or may be lost without harm.
        versions: Content by version, of all versions that can be reached.
    """

    name: str
    objects: Objects
    sealed: bool
    versions: Mapping[int, Content]


def stored(objects: Objects) -> ObjectStore:
    """A store that holds these files."""
    env = FakeEnv()
    driver = MemoryDriver(env=env)
    for path, data in objects.items():
        driver.put(path, data)
    return ObjectStore(driver, env=env)


def content(store: ObjectStore, version: int | None = None) -> Content:
    """All that a table holds at a version, without what only tells how it is stored."""
    snapshot = load(store, version=version)
    return (
        snapshot.version,
        snapshot.protocol,
        snapshot.metadata,
        tuple(sorted(snapshot.transactions, key=repr)),
        tuple(sorted(snapshot.domains, key=repr)),
        _rows(snapshot.files()),
        _rows(snapshot.tombstones().select(["path", "deletion_vector"])),
    )


def _rows(table: pa.Table) -> tuple[str, ...]:
    rows = table.to_pylist(maps_as_pydicts="strict")
    for row in rows:
        with suppress(ValueError):  # damaged ones, which differ as they are
            row["stats"] = json.loads(row.get("stats") or "null")
    return tuple(sorted(map(repr, rows)))


def layout(name: str, store: ObjectStore, *, sealed: bool) -> Layout:
    """The layout of what a store holds."""
    objects = {
        meta.path: bytes(store.get(meta.path).data)
        for meta in store.list(LOG_FOLDER)
        if meta.path.startswith(f"{LOG_FOLDER}/")
    }
    versions: dict[int, Content] = {}
    copy = stored(objects)
    newest = load(copy).version
    for version in range(newest + 1):
        try:
            versions[version] = content(copy, version)
        except LogError:  # cleaned
            continue
    return Layout(name, objects, sealed, versions)


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that happens to one file of a log, or to two.

    Attributes:
        kind: A word for it.
        path: The file it happened to.
        objects: The log after it.
    """

    kind: str
    path: str
    objects: Objects


Maker = Callable[[random.Random, dict[str, bytes], str], str | None]


def _truncated(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    data = objects[path]
    ends = [at + 1 for at, byte in enumerate(data[:-1]) if byte == ord("\n")]
    at_line = path.endswith("json") and ends and rng.random() < 0.5
    objects[path] = data[: rng.choice(ends) if at_line else rng.randrange(len(data))]


def _flipped(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    data = bytearray(objects[path])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    objects[path] = bytes(data)


def _zeroed(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    data = objects[path]
    start = rng.randrange(len(data))
    size = min(len(data) - start, rng.choice((1, 16, 512, len(data))))
    objects[path] = data[:start] + bytes(size) + data[start + size :]


def _missing(_rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    del objects[path]


def _swapped(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    other = _alike(rng, objects, path)
    objects[path], objects[other] = objects[other], objects[path]


def _overwritten(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    objects[path] = objects[_alike(rng, objects, path)]


def _duplicated(rng: random.Random, objects: dict[str, bytes], path: str) -> str:
    """Under the name of a file of another version, which may be there or not."""
    name = path.removeprefix(f"{LOG_FOLDER}/")
    if not name[:20].isdigit():
        return _overwritten(rng, objects, path) or path
    version = max(0, int(name[:20]) + rng.choice((-2, -1, 1, 2)))
    target = f"{LOG_FOLDER}/{version:020}{name[20:]}"
    objects[target] = objects[path]
    return target


def _contradicting(rng: random.Random, objects: dict[str, bytes], path: str) -> None:
    """Numbers replaced, as by a writer gone wrong; no seal is made anew."""
    text = bytearray(objects[path])
    digits = [at for at, byte in enumerate(text) if chr(byte).isdigit()]
    for at in rng.sample(digits, min(len(digits), rng.choice((1, 2)))):
        text[at] = ord(rng.choice("0123456789"))
    objects[path] = bytes(text)


def _alike(rng: random.Random, objects: dict[str, bytes], path: str) -> str:
    """Another file, most often of the same kind."""
    others = sorted(set(objects) - {path})
    kind = [other for other in others if _kind(other) == _kind(path)]
    return rng.choice(kind if kind and rng.random() < 0.8 else others)


def _kind(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return folder + (name if name.startswith("_") else name.lstrip("0123456789abcdef-."))


KINDS: Mapping[str, Maker] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "zeroed": _zeroed,
    "missing": _missing,
    "swapped": _swapped,
    "overwritten": _overwritten,
    "duplicated": _duplicated,
    "contradicting": _contradicting,
}


def damage(table: Layout, rng: random.Random) -> Damage:
    """Something that happens to a table's log."""
    objects = dict(table.objects)
    weights = [3 if path == HINT_PATH or not path.endswith("0.json") else 1 for path in objects]
    (path,) = rng.choices(sorted(objects), weights)
    kind = rng.choices(sorted(KINDS), [4 if kind == "flipped" else 1 for kind in sorted(KINDS)])[0]
    touched = KINDS[kind](rng, objects, path) or path
    return Damage(kind, touched, objects)


def judge(table: Layout, done: Damage, version: int | None) -> tuple[Verdict, str]:
    """What a reader of a version makes of the damage, and what it said.

    Raises:
        Exception: One that does not belong to this library.
    """
    expected = table.versions[max(table.versions) if version is None else version]
    store = stored(done.objects)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            found = content(store, version)
        except AtomicManifestError as error:
            return (
                (Verdict.DETECTED, repr(error))
                if _names_it(error)
                else (Verdict.UNSEEN, repr(error))
            )
    if found == expected:
        return Verdict.HARMLESS, ""
    if (
        version is None
        and found == table.versions.get(found[0])
        and _is_lost_end(table, done, found[0])
    ):
        return Verdict.ROLLED_BACK, ""
    return Verdict.UNSEEN, _difference(expected, found)


def _names_it(error: AtomicManifestError) -> bool:
    """Whether an error says which file, or which version, or which table it is about."""
    path = getattr(error, "path", None)
    if isinstance(error, StoreError):
        return bool(path)
    return isinstance(error, LogError) and (path is None or str(path) in str(error))


def _is_lost_end(table: Layout, done: Damage, version: int) -> bool:
    """Whether nothing that is left of the log is about a later version."""
    lost = set(table.objects) - set(done.objects)
    return any(path.endswith(f"/{version + 1:020}.json") for path in lost)


def _difference(expected: Content, found: Content) -> str:
    pairs = zip(expected, found, strict=True)
    return "; ".join(f"{one!r:.300} became {other!r:.300}" for one, other in pairs if one != other)
