"""Copies and deletions: conditions, their refusals, and answers that got lost."""

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch
from atomic_manifest.store.driver import Deleted, Refused
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened

LOST = [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.ERROR_500]


@pytest.fixture(params=KINDS)
def made(request):
    contexts = []

    def make(faults=(), driver=None):
        counting = CountingDriver(FaultyDriver(driver or MemoryDriver(), dict(faults)))
        context = opened(request.param, counting, env=FakeEnv())
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


def methods(store):
    return [request.method for request in store.driver.requests]


def filled(driver=None):
    driver = driver or MemoryDriver()
    return driver, driver.put("src", b"source", metadata={"mine": "1"}).meta.etag


class Quiet(MemoryDriver):
    """Refuses as S3 does: without telling the current ETag."""

    def put(self, *args, **options):
        return self.hushed(super().put(*args, **options))

    def copy(self, *args, **options):
        return self.hushed(super().copy(*args, **options))

    def delete(self, *args, **options):
        return self.hushed(super().delete(*args, **options))

    def hushed(self, outcome):
        return Refused() if isinstance(outcome, Refused) else outcome


# --- refusals


def test_current_etag_is_looked_up_once_where_the_service_does_not_tell(made):
    driver, etag = filled(Quiet())
    store = made(driver=driver)
    for act in (
        lambda: store.put("src", b"", when=IfAbsent()),
        lambda: store.put("src", b"", when=IfMatch("other")),
        lambda: store.copy("src", "src", when=IfAbsent()),
        lambda: store.delete("src", when=IfMatch("other")),
    ):
        store.driver.clear()
        with pytest.raises(errors.PreconditionFailed) as raised:
            act()
        assert raised.value.current_etag == etag
        assert methods(store)[1:] == ["head"]
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.put("none", b"", when=IfMatch("other"))
    assert raised.value.current_etag is None


def test_refusal_is_told_even_if_the_look_fails(made):
    driver, _ = filled(Quiet())
    store = made({1: Fault.ERROR_500}, driver)
    with pytest.raises(errors.AlreadyExists) as raised:
        store.put("src", b"", when=IfAbsent())
    assert raised.value.current_etag is None


# --- copies


def test_copy_makes_the_same_object(made, tmp_path):
    store = made(driver=filled()[0])
    meta = store.copy("src", "dst")
    assert store.get("dst").data == b"source"
    assert meta.etag == store.head("dst").etag
    assert store.head("dst").metadata["mine"] == "1"
    store = made(driver=filled(LocalDriver(tmp_path))[0])
    store.copy("src", "dst", when=IfAbsent())
    assert store.get("dst").data == b"source"


def test_copy_of_nothing_is_not_found(made):
    store = made()
    with pytest.raises(errors.NotFound):
        store.copy("src", "dst")
    with pytest.raises(errors.NotFound):
        store.copy("src", "dst", source_when=IfMatch("x"))


@pytest.mark.parametrize("driver", [MemoryDriver, Quiet])
def test_copy_says_which_condition_failed(made, driver):
    memory, source = filled(driver())
    store = made(driver=memory)
    there = store.put("dst", b"there").etag
    with pytest.raises(errors.AlreadyExists) as raised:
        store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source))
    assert (raised.value.path, raised.value.current_etag) == ("dst", there)
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.copy("src", "dst", when=IfMatch(there), source_when=IfMatch("old"))
    assert (raised.value.path, raised.value.current_etag) == ("src", source)
    assert raised.value.condition == IfMatch("old")
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.copy("src", "dst", source_when=IfMatch("old"))
    assert raised.value.path == "src"
    assert store.get("dst").data == b"there"


@pytest.mark.parametrize("fault", list(Fault))
def test_unconditional_copy_is_repeated(made, fault):
    store = made({0: fault}, filled()[0])
    store.copy("src", "dst")
    assert store.get("dst").data == b"source"


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_500, Fault.CONFLICT_409])
def test_conditional_copy_that_did_not_land_is_repeated(made, fault):
    driver, source = filled()
    store = made({0: fault}, driver)
    store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source))
    assert store.get("dst").data == b"source"


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("there", [None, b"source"])
def test_copy_that_cannot_be_told_from_anothers_is_unknown(made, pinned, there):
    """Whether ours landed, or somebody else copied the same bytes."""
    driver, source = filled()
    fault = Fault.LOST_AFTER if there is None else Fault.LOST_BEFORE
    store = made({0: fault}, driver)
    if there is not None:
        driver.put("dst", there)
    with pytest.raises(errors.WriteOutcomeUnknown, match="copy"):
        store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source) if pinned else None)


@pytest.mark.parametrize("theirs", [b"another", b"ecruos"])
def test_copy_that_was_lost_to_other_bytes_already_exists(made, theirs):
    driver, source = filled()
    store = made({0: Fault.LOST_BEFORE}, driver)
    etag = driver.put("dst", theirs).meta.etag
    with pytest.raises(errors.AlreadyExists) as raised:
        store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source))
    assert raised.value.current_etag == etag
    store = made({0: Fault.LOST_BEFORE}, driver)
    with pytest.raises(errors.WriteOutcomeUnknown):  # the source may have been these bytes
        store.copy("src", "dst", when=IfAbsent())
    store = made({0: Fault.LOST_BEFORE}, driver)
    with pytest.raises(errors.WriteOutcomeUnknown):  # ours may have been replaced
        store.copy("src", "dst", when=IfMatch("old"), source_when=IfMatch(source))


def test_copy_is_unknown_if_the_looks_fail_or_the_source_has_changed(made):
    for number in (2, 3, 4):
        driver, source = filled()
        driver.put("dst", b"ecruos")
        always = dict.fromkeys(range(number, 30), Fault.ERROR_500)
        store = made({0: Fault.LOST_BEFORE, **always}, driver)
        with pytest.raises(errors.WriteOutcomeUnknown):
            store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source))

    class Changing(MemoryDriver):
        def head(self, path, **options):
            super().put("src", b"new")
            return super().head(path, **options)

    driver, source = filled(Changing())
    driver.put("dst", b"ecruos")
    store = made({0: Fault.LOST_BEFORE}, driver)
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.copy("src", "dst", when=IfAbsent(), source_when=IfMatch(source))


# --- deletions


def test_deletion_on_condition(made):
    driver, etag = filled()
    store = made(driver=driver)
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.delete("src", when=IfMatch("old"))
    assert raised.value.current_etag == etag
    store.delete("src", when=IfMatch(etag))
    store.delete("src")
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.delete("src", when=IfMatch(etag))
    assert raised.value.current_etag is None


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.ERROR_500, Fault.CONFLICT_409])
def test_conditional_deletion_that_did_not_land_is_repeated(made, fault):
    driver, etag = filled()
    store = made({0: fault}, driver)
    store.delete("src", when=IfMatch(etag))
    assert list(store.list()) == []


def test_deletion_whose_answer_was_lost_is_unknown_and_says_what_is_seen(made):
    driver, etag = filled()
    store = made({0: Fault.LOST_AFTER}, driver)
    with pytest.raises(errors.WriteOutcomeUnknown, match="deletion.*the object is gone"):
        store.delete("src", when=IfMatch(etag))
    driver, etag = filled()
    store = made({0: Fault.LOST_BEFORE}, driver)
    driver.put("src", b"new")
    with pytest.raises(errors.WriteOutcomeUnknown, match="is there with the ETag"):
        store.delete("src", when=IfMatch(etag))
    store = made(dict.fromkeys(range(99), Fault.ERROR_500), driver)
    with pytest.raises(errors.WriteOutcomeUnknown):
        store.delete("src", when=IfMatch(etag))


class Versions(MemoryDriver):
    """Takes one version that can be deleted, and remembers what it was asked."""

    def delete(self, path, *, when=None, version=None):
        self.asked = (path, when, version)
        return Deleted() if version == "v1" else Refused()


def test_deletion_of_a_version(made):
    driver = Versions()
    store = made(driver=driver)
    store.delete("k", version="v1", when=IfMatch("x"))
    assert driver.asked == ("k", IfMatch("x"), "v1")
    with pytest.raises(errors.PreconditionFailed):
        store.delete("k", version="v2", when=IfMatch("x"))
    assert methods(store) == ["delete", "delete"]
    with pytest.raises(errors.UnsupportedByStore):
        made().delete("k", version="v1")


# --- conditions that the service takes only for one ETag


class OneTag(MemoryDriver):
    """Refuses `*` and lists of tags, as some services do; somebody else may write before."""

    def __init__(self, rivals=0):
        super().__init__()
        self.rivals = rivals

    def check(self, path, when):
        if isinstance(when, IfMatch) and len(when.etags) != 1:
            raise errors.UnsupportedByStore("one ETag only", path=path)
        if self.rivals:
            self.rivals -= 1
            super().put(path, b"rival")

    def put(self, path, data, *, when=None, metadata=None):
        self.check(path, when)
        return super().put(path, data, when=when, metadata=metadata)

    def copy(self, source, path, *, when=None, source_when=None):
        self.check(path, when)
        return super().copy(source, path, when=when, source_when=source_when)

    def delete(self, path, *, when=None, version=None):
        self.check(path, when)
        return super().delete(path, when=when, version=version)


def act_on(store, verb, when):
    if verb == "put":
        return store.put("dst", b"mine", when=when)
    if verb == "copy":
        return store.copy("src", "dst", when=when)
    return store.delete("dst", when=when)


@pytest.mark.parametrize("verb", ["put", "copy", "delete"])
def test_several_tags_and_any_are_narrowed_to_the_tag_that_is_seen(made, verb):
    for several in (True, False):
        driver, _ = filled(OneTag())
        store = made(driver=driver)
        etag = store.put("dst", b"old").etag
        act_on(store, verb, IfMatch("a", etag, "b") if several else IfMatch.ANY)
        assert methods(store)[1:] == [verb, "head", verb]
        with pytest.raises(errors.PreconditionFailed):
            act_on(store, verb, IfMatch("a", "b"))
        driver.delete("dst")
        with pytest.raises(errors.PreconditionFailed) as raised:
            act_on(store, verb, IfMatch.ANY)
        assert raised.value.current_etag is None


@pytest.mark.parametrize("verb", ["put", "copy", "delete"])
def test_narrowed_condition_is_still_the_services_to_evaluate(made, verb):
    driver, _ = filled(OneTag())
    store = made(driver=driver)
    store.put("dst", b"old")
    driver.rivals = 2
    act_on(store, verb, IfMatch.ANY)
    assert methods(store)[1:] == [verb, *["head", verb] * 3]
    store.put("dst", b"old")
    driver.rivals = 99
    with pytest.raises(errors.Contended):
        act_on(store, verb, IfMatch.ANY)
    assert store.get("dst").data == b"rival"


def test_store_without_strong_etags_cannot_be_narrowed(made):
    from dataclasses import replace

    from atomic_manifest.store import ETag

    class Weak(OneTag):
        def head(self, path, **options):
            return replace(super().head(path, **options), etag=ETag("x", weak=True))

    driver, _ = filled(Weak())
    store = made(driver=driver)
    with pytest.raises(errors.UnsupportedByStore, match="strong"):
        store.put("src", b"", when=IfMatch.ANY)
