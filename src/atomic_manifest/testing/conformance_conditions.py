"""Tests of conditions on uploads, copies and deletions, of every driver that offers them."""

from atomic_manifest.errors import NotFound, NotModified, UnsupportedByStore
from atomic_manifest.store.conditions import ETag, IfAbsent, IfMatch
from atomic_manifest.store.driver import Deleted, Driver, Refused, Written
from atomic_manifest.testing.checks import PART, begin, current, raised, tag, upload, written
from atomic_manifest.testing.features import Feature, FeatureTests, ask

_FOREIGN = ETag("0" * 32)


class ConditionTests(FeatureTests):
    """Conditions, one request after the other."""

    def test_what_the_driver_lacks_is_refused_by_name(self, driver: Driver) -> None:
        """With `UnsupportedByStore`, whether or not there is an object."""
        for exists in (False, True):
            if exists:
                driver.put("feature", b"kept")
                driver.put("source", b"x")
            for feature in self.lacks:
                error = raised(UnsupportedByStore, lambda feature=feature: ask(driver, feature))  # type: ignore[misc]
                assert error.path == "feature", feature
        assert driver.get("feature").data == b"kept"

    def test_if_match_any(self, driver: Driver) -> None:
        """`IfMatch.ANY` asks for existence."""
        self.needs(Feature.PUT_ANY)
        assert isinstance(driver.put("k", b"no", when=IfMatch.ANY), Refused)
        driver.put("k", b"1")
        assert isinstance(driver.put("k", b"2", when=IfMatch.ANY), Written)
        assert driver.get("k").data == b"2"

    def test_if_match_several(self, driver: Driver) -> None:
        """One of several tags is enough, wherever it stands."""
        self.needs(Feature.PUT_SEVERAL)
        etag = tag(driver.put("k", b"1"))
        etag = tag(driver.put("k", b"2", when=IfMatch("x", etag)))
        etag = tag(driver.put("k", b"3", when=IfMatch(etag, "x")))
        assert isinstance(driver.put("k", b"4", when=IfMatch("x", "y")), Refused)
        assert driver.get("k").data == b"3"

    def test_conditional_head(self, driver: Driver) -> None:
        """`if_none_match` with the current tag, an old one, and without an object."""
        old = tag(driver.put("k", b"one"))
        new = tag(driver.put("k", b"two"))
        assert driver.head("k", if_none_match=old).etag == new
        raised(NotModified, lambda: driver.head("k", if_none_match=new))
        raised(NotFound, lambda: driver.head("missing", if_none_match=new))

    def test_upload_if_absent(self, driver: Driver) -> None:
        """The second of two is refused at its end, whatever its size."""
        self.needs(Feature.UPLOAD_ABSENT)
        first = begin(driver, "x/k", when=IfAbsent())
        second = begin(driver, "x/k", when=IfAbsent())
        body = b"1" * (PART + 3)
        first.write(body)
        second.write(b"2" * (2 * PART + 1))
        assert list(driver.list()) == []
        meta = written(first.finish())
        assert (meta.path, meta.size) == ("x/k", len(body))
        assert isinstance(second.finish(), Refused)
        second.abort()
        assert driver.get("x/k").data == body
        assert [found.path for found in driver.list()] == ["x/k"]
        assert isinstance(upload(driver, "x/k", b"", when=IfAbsent()), Refused)

    def test_small_and_empty_conditional_uploads(self, driver: Driver) -> None:
        """Objects smaller than a part, and an upload that nothing was written to."""
        self.needs(Feature.UPLOAD_ABSENT)
        for data in (b"", b"small"):
            path = f"k{len(data)}"
            meta = written(upload(driver, path, data, when=IfAbsent()))
            assert (meta.path, meta.size) == (path, len(data))
            assert driver.get(path).data == data

    def test_metadata_of_a_conditional_upload(self, driver: Driver) -> None:
        """Is kept as that of a put."""
        self.needs(Feature.UPLOAD_ABSENT)
        metadata = {"atomic-manifest-test": "a = b"}
        driver.put("expected", b"", metadata=metadata)
        started = begin(driver, "k", when=IfAbsent(), metadata=metadata)
        started.write(b"x")
        written(started.finish())
        assert driver.head("k").metadata == driver.head("expected").metadata

    def test_upload_asks_its_condition_at_the_end(self, driver: Driver) -> None:
        """What was there when it began does not matter."""
        self.needs(Feature.UPLOAD_ABSENT, Feature.UPLOAD_LATE)
        driver.put("k", b"old")
        started = begin(driver, "k", when=IfAbsent())
        started.write(b"new")
        driver.delete("k")
        assert isinstance(started.finish(), Written)
        assert driver.get("k").data == b"new"

    def test_aborted_conditional_upload_leaves_nothing(self, driver: Driver) -> None:
        """Aborting twice is allowed, and so is an upload that nothing was written to."""
        self.needs(Feature.UPLOAD_ABSENT)
        for data in (b"", b"x" * (PART + 1)):
            started = begin(driver, "k", when=IfAbsent())
            started.write(data)
            started.abort()
            started.abort()
        assert list(driver.list()) == []

    def test_upload_if_match(self, driver: Driver) -> None:
        """The current tag is taken; an old, a foreign, a weak one and a missing object are not."""
        self.needs(Feature.UPLOAD_MATCH)
        old = tag(driver.put("k", b"1"))
        written(upload(driver, "k", b"22", when=IfMatch(old)))
        new = current(driver, "k")
        for etag in (old, _FOREIGN, ETag(new.opaque, weak=True)):
            assert isinstance(upload(driver, "k", b"no", when=IfMatch(etag)), Refused)
        assert driver.get("k").data == b"22"
        assert upload(driver, "missing", b"no", when=IfMatch(new)) == Refused(None)
        assert [meta.path for meta in driver.list()] == ["k"]

    def test_upload_if_match_any(self, driver: Driver) -> None:
        """`IfMatch.ANY` asks for existence."""
        self.needs(Feature.UPLOAD_ANY)
        assert upload(driver, "k", b"no", when=IfMatch.ANY) == Refused(None)
        driver.put("k", b"1")
        assert isinstance(upload(driver, "k", b"2", when=IfMatch.ANY), Written)
        assert driver.get("k").data == b"2"

    def test_copy(self, driver: Driver) -> None:
        """Bytes and metadata, over an object or none; the source stays."""
        self.needs(Feature.COPY)
        driver.put("a b/ü+%20", b"data", metadata={"atomic-manifest-test": "a = b"})
        driver.put("old", b"old")
        for path in ("x/new", "old"):
            assert written(driver.copy("a b/ü+%20", path)).path == path
            assert driver.get(path).data == b"data"
            assert driver.head(path).metadata == driver.head("a b/ü+%20").metadata

    def test_copy_of_nothing_is_not_found(self, driver: Driver) -> None:
        """Whatever the condition; the destination stays as it was."""
        self.needs(Feature.COPY)
        etag = tag(driver.put("k", b"1"))
        offered = {
            Feature.COPY: {},
            Feature.COPY_ABSENT: {"when": IfAbsent()},
            Feature.COPY_MATCH: {"when": IfMatch(etag)},
            Feature.COPY_SOURCE: {"source_when": IfMatch(etag)},
        }
        for feature, conditions in offered.items():
            if feature not in self.lacks and feature not in self.flaws:
                path = "new" if feature is Feature.COPY_ABSENT else "k"
                raised(NotFound, lambda p=path, c=conditions: driver.copy("missing", p, **c))  # type: ignore[misc]
        assert driver.get("k").data == b"1"

    def test_copy_if_absent(self, driver: Driver) -> None:
        """The second is refused."""
        self.needs(Feature.COPY_ABSENT)
        driver.put("one", b"1")
        driver.put("two", b"2")
        assert isinstance(driver.copy("one", "k", when=IfAbsent()), Written)
        assert isinstance(driver.copy("two", "k", when=IfAbsent()), Refused)
        assert driver.get("k").data == b"1"

    def test_copy_if_match(self, driver: Driver) -> None:
        """The destination's current tag is taken; others and a missing object are not."""
        self.needs(Feature.COPY_MATCH)
        driver.put("source", b"new")
        old = tag(driver.put("k", b"1"))
        new = tag(driver.put("k", b"2"))
        for etag in (old, _FOREIGN, ETag(new.opaque, weak=True)):
            assert isinstance(driver.copy("source", "k", when=IfMatch(etag)), Refused)
        assert driver.get("k").data == b"2"
        assert isinstance(driver.copy("source", "k", when=IfMatch(new)), Written)
        assert driver.get("k").data == b"new"
        assert isinstance(driver.copy("source", "missing", when=IfMatch(new)), Refused)
        raised(NotFound, lambda: driver.head("missing"))

    def test_copy_if_match_any(self, driver: Driver) -> None:
        """`IfMatch.ANY` asks for the destination's existence."""
        self.needs(Feature.COPY_ANY)
        driver.put("source", b"new")
        driver.put("k", b"1")
        assert isinstance(driver.copy("source", "missing", when=IfMatch.ANY), Refused)
        assert isinstance(driver.copy("source", "k", when=IfMatch.ANY), Written)
        assert driver.get("k").data == b"new"

    def test_copy_of_one_state_of_the_source(self, driver: Driver) -> None:
        """The source's current tag is taken, others are not."""
        self.needs(Feature.COPY_SOURCE)
        old = tag(driver.put("source", b"1"))
        new = tag(driver.put("source", b"2"))
        for etag in (old, _FOREIGN, ETag(new.opaque, weak=True)):
            assert isinstance(driver.copy("source", "k", source_when=IfMatch(etag)), Refused)
        raised(NotFound, lambda: driver.head("k"))
        assert isinstance(driver.copy("source", "k", source_when=IfMatch(new)), Written)
        assert driver.get("k").data == b"2"

    def test_copy_with_conditions_on_both(self, driver: Driver) -> None:
        """Either refuses."""
        self.needs(Feature.COPY_SOURCE, Feature.COPY_ABSENT)
        etag = IfMatch(tag(driver.put("source", b"1")))
        other = IfMatch(_FOREIGN)
        assert isinstance(driver.copy("source", "k", when=IfAbsent(), source_when=other), Refused)
        assert isinstance(driver.copy("source", "k", when=IfAbsent(), source_when=etag), Written)
        assert isinstance(driver.copy("source", "k", when=IfAbsent(), source_when=etag), Refused)

    def test_delete_if_match(self, driver: Driver) -> None:
        """The current tag is taken; an old, a foreign, a weak one and a missing object are not."""
        self.needs(Feature.DELETE_MATCH)
        old = tag(driver.put("k", b"1"))
        new = tag(driver.put("k", b"2"))
        for etag in (old, _FOREIGN, ETag(new.opaque, weak=True)):
            assert isinstance(driver.delete("k", when=IfMatch(etag)), Refused)
        assert driver.get("k").data == b"2"
        assert driver.delete("k", when=IfMatch(new)) == Deleted()
        raised(NotFound, lambda: driver.head("k"))

    def test_delete_if_match_any(self, driver: Driver) -> None:
        """`IfMatch.ANY` takes whatever is there."""
        self.needs(Feature.DELETE_ANY)
        driver.put("k", b"1")
        assert driver.delete("k", when=IfMatch.ANY) == Deleted()
        raised(NotFound, lambda: driver.head("k"))

    def test_a_conditional_deletion_of_nothing_is_refused(self, driver: Driver) -> None:
        """No object has the tag, and none exists."""
        self.needs(Feature.DELETE_MISSING, Feature.DELETE_MATCH)
        assert driver.delete("k", when=IfMatch(_FOREIGN)) == Refused(None)
        self.needs(Feature.DELETE_ANY)
        assert driver.delete("k", when=IfMatch.ANY) == Refused(None)
