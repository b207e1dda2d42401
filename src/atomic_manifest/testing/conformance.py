"""What every driver must do, as a class of tests.

Subclass it in a test module and give it a fixture `driver`, a driver over an empty root of its own:

    class TestMyDriver(StoreConformance):
        @pytest.fixture
        def driver(self):
            return MyDriver(...)
"""

from typing import ClassVar

from atomic_manifest.errors import InvalidPath, NotFound, NotModified, StoreError
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Driver, Refused, Written
from atomic_manifest.testing.checks import PART, raised, tag, written
from atomic_manifest.testing.conformance_conditions import ConditionTests
from atomic_manifest.testing.conformance_races import RaceTests


class StoreConformance(ConditionTests, RaceTests):
    """Tests of one driver.

    Attributes:
        keeps_metadata: Whether the driver keeps user metadata.
        lists_by_path: Whether listings are in order of whole paths. Some services go folder by
            folder instead, and are in order only within one.
        lists_etags: Whether listings tell ETags.
        lacks: See `FeatureTests`: what the driver must refuse.
        flaws: See `FeatureTests`: what the server under test gets wrong.
        rounds: See `RaceTests`: how long the races are.
    """

    keeps_metadata: ClassVar[bool] = True
    lists_by_path: ClassVar[bool] = True
    lists_etags: ClassVar[bool] = True

    def test_get_returns_what_was_put(self, driver: Driver) -> None:
        """Bytes, size, ETag and time."""
        meta = written(driver.put("a/b.bin", b"hello"))
        found = driver.get("a/b.bin")
        assert found.data == b"hello"
        assert (found.meta.path, found.meta.size) == ("a/b.bin", 5)
        assert found.meta.etag == meta.etag is not None
        assert found.meta.last_modified is not None
        assert found.meta.last_modified.tzinfo is not None

    def test_put_takes_any_buffer_and_the_empty_one(self, driver: Driver) -> None:
        """Bytes, bytearray, memoryview."""
        for data in (b"", bytearray(b"xy"), memoryview(b"xyz")[1:]):
            meta = written(driver.put("k", data))
            assert meta.size == len(data)
            assert driver.get("k").data == bytes(data)

    def test_put_replaces_and_changes_the_etag(self, driver: Driver) -> None:
        """An unconditional put needs nothing."""
        first = written(driver.put("k", b"one"))
        second = written(driver.put("k", b"two"))
        assert first.etag != second.etag
        assert driver.get("k").data == b"two"

    def test_missing_object_is_not_found(self, driver: Driver) -> None:
        """Nothing, a folder, and a path below an object."""
        driver.put("folder/object", b"x")
        for path in ("nothing", "folder", "folder/object/below"):
            assert raised(NotFound, lambda path=path: driver.get(path)).path == path  # type: ignore[misc]
            assert raised(NotFound, lambda path=path: driver.head(path)).path == path  # type: ignore[misc]

    def test_unusable_paths_are_refused(self, driver: Driver) -> None:
        """By every method, before anything is sent."""
        for path in ("", "/a", "a//b", "a/", "../a", "a/./b", "nul\0"):
            raised(InvalidPath, lambda path=path: driver.get(path))  # type: ignore[misc]
            raised(InvalidPath, lambda path=path: driver.head(path))  # type: ignore[misc]
            raised(InvalidPath, lambda path=path: driver.put(path, b""))  # type: ignore[misc]
            raised(InvalidPath, lambda path=path: driver.delete(path))  # type: ignore[misc]

    def test_names_are_taken_literally(self, driver: Driver) -> None:
        """Percent signs, spaces, plus, unicode, dots."""
        names = ["a b", "a%20b", "a+b", "day=2026-01-01", "é/ü", "..x", ".hidden", "q?x=1#y", "~"]
        for name in names:
            driver.put(f"n/{name}", name.encode())
        assert [driver.get(f"n/{name}").data.decode() for name in names] == names
        assert [meta.path for meta in driver.list("n")] == sorted(f"n/{name}" for name in names)

    def test_ranges(self, driver: Driver) -> None:
        """Half open, cut off at the end; an empty one or one past the end is an error."""
        driver.put("k", b"0123456789")
        assert driver.get("k", range=(2, 5)).data == b"234"
        assert driver.get("k", range=(0, 1)).data == b"0"
        clipped = driver.get("k", range=(7, 100))
        assert (clipped.data, clipped.meta.size) == (b"789", 10)
        for wrong in ((10, 12), (3, 3), (5, 2), (-1, 2)):
            raised(StoreError, lambda wrong=wrong: driver.get("k", range=wrong))  # type: ignore[misc]

    def test_head_tells_what_get_tells(self, driver: Driver) -> None:
        """Without the bytes."""
        driver.put("k", b"abc")
        assert driver.head("k") == driver.get("k").meta

    def test_conditional_read(self, driver: Driver) -> None:
        """`if_none_match` with the current tag, and with an old one."""
        old = written(driver.put("k", b"one")).etag
        new = written(driver.put("k", b"two")).etag
        assert driver.get("k", if_none_match=old).data == b"two"
        raised(NotModified, lambda: driver.get("k", if_none_match=new))

    def test_user_metadata_is_kept(self, driver: Driver) -> None:
        """With keys in lower case."""
        if not self.keeps_metadata:
            return
        driver.put("k", b"x", metadata={"Atomic-manifest-test": "a = b"}, when=IfAbsent())
        expected = {"atomic-manifest-test": "a = b"}
        assert dict(driver.head("k").metadata) == expected
        assert dict(driver.get("k").meta.metadata) == expected

    def test_create_if_absent(self, driver: Driver) -> None:
        """The second creator is refused, until the object is deleted."""
        assert isinstance(driver.put("a/k", b"1", when=IfAbsent()), Written)
        assert isinstance(driver.put("a/k", b"2", when=IfAbsent()), Refused)
        assert driver.get("a/k").data == b"1"
        driver.delete("a/k")
        assert isinstance(driver.put("a/k", b"3", when=IfAbsent()), Written)

    def test_if_match(self, driver: Driver) -> None:
        """The current tag is taken; an old, a foreign, a weak one and a missing object are not."""
        old = tag(driver.put("k", b"1"))
        current = tag(driver.put("k", b"2", when=IfMatch(old)))
        for etag in (old, ETag("0" * 32), ETag(current.opaque, weak=True)):
            assert isinstance(driver.put("k", b"no", when=IfMatch(etag)), Refused)
        assert driver.get("k").data == b"2"
        assert isinstance(driver.put("k", b"3", when=IfMatch(current)), Written)
        refused = driver.put("missing", b"no", when=IfMatch(current))
        assert refused == Refused(None)
        raised(NotFound, lambda: driver.head("missing"))

    def test_an_etag_never_comes_back(self, driver: Driver) -> None:
        """Not for the same size, and not at once. Services may derive it from content, so that
        each write here differs."""
        tags = [tag(driver.put("k", b"%04d" % i)) for i in range(30)]
        assert len(set(tags)) == len(tags)

    def test_delete(self, driver: Driver) -> None:
        """Missing objects are no error, alone or among others."""
        for path in ("a", "b/c", "d"):
            driver.put(path, b"x")
        driver.delete("a")
        driver.delete("a")
        driver.delete_many(iter(["b/c", "nothing", "d"]))
        driver.delete_many([])
        assert list(driver.list()) == []

    def test_list_is_recursive_and_in_order(self, driver: Driver) -> None:
        """Order of whole paths by code point: `a-b` and `a.b` come before `a/b`."""
        paths = ["a/b", "a-b", "a.b", "a0", "a/b-c/d", "a/b0", "B", "z/1", "z/10", "z/2", "é"]
        for path in paths:
            driver.put(path, path.encode())
        found = list(driver.list())
        if not self.lists_by_path:
            found.sort(key=lambda meta: meta.path)
        assert [meta.path for meta in found] == sorted(paths)
        assert [meta.size for meta in found] == [len(path.encode()) for path in sorted(paths)]
        if self.lists_etags:
            assert found[0].etag == driver.head("B").etag
        listed, headed = found[0].last_modified, driver.head("B").last_modified
        assert listed is not None
        assert headed is not None
        # HTTP headers hold whole seconds.
        assert abs((listed - headed).total_seconds()) < 1

    def test_list_of_a_folder(self, driver: Driver) -> None:
        """The folder is a whole name; a missing one is empty."""
        for path in ("a/1", "a/b/2", "ab/3", "ac"):
            driver.put(path, b"")
        assert [meta.path for meta in driver.list("a")] == ["a/1", "a/b/2"]
        assert [meta.path for meta in driver.list("a/")] == ["a/1", "a/b/2"]
        assert [meta.path for meta in driver.list("a/b")] == ["a/b/2"]
        assert list(driver.list("nothing")) == []

    def test_list_start_after(self, driver: Driver) -> None:
        """Any text in the order of paths, whether or not it is an object."""
        paths = [f"l/{i:02}" for i in range(5)] + ["l/a/x", "l/a/y", "l/b"]
        for path in [*paths, "k/0", "m/0"]:
            driver.put(path, b"")
        flat = ("k", "l/01", "l/010", "l/04", "m")
        for after in (*flat, "l/a", "l/a/", "l/a/x", "l/b") if self.lists_by_path else flat:
            found = [meta.path for meta in driver.list("l", start_after=after)]
            assert found == [path for path in paths if path > after], after

    def test_upload_is_visible_only_when_finished(self, driver: Driver) -> None:
        """Two parts and a rest, over an object that is there already."""
        driver.put("big", b"old")
        upload = driver.start_upload("big", part_size=PART, max_in_flight=2)
        parts = [b"a" * PART, b"b" * PART, b"c" * 17]
        for part in parts:
            upload.write(part)
        assert driver.get("big").data == b"old"
        assert [meta.path for meta in driver.list()] == ["big"]
        meta = written(upload.finish())
        assert (meta.path, meta.size) == ("big", 2 * PART + 17)
        assert driver.get("big").data == b"".join(parts)

    def test_aborted_upload_leaves_nothing(self, driver: Driver) -> None:
        """Aborting twice is allowed, and so is an upload nothing was written to."""
        upload = driver.start_upload("x/big", part_size=PART, max_in_flight=2)
        upload.write(b"a" * (PART + 1))
        upload.abort()
        upload.abort()
        driver.start_upload("x/small", part_size=PART, max_in_flight=2).abort()
        assert list(driver.list()) == []
        raised(NotFound, lambda: driver.head("x/big"))
