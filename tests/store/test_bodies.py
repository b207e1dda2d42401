"""Bodies of every kind, small and large, through both stores: what is sent again and what never is."""

import io
import tempfile

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, Retry
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.policy.sources import AsyncChunks, Chunks, File
from atomic_manifest.testing import CountingDriver, FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened

THRESHOLD = 1000
SMALL, LARGE = bytes(range(250)) * 4, bytes(range(256)) * 40


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def made(kind):
    """Makes a store, of the kind under test, over memory that fails as told."""
    contexts = []

    def make(faults=(), driver=None, **options):
        counting = CountingDriver(FaultyDriver(driver or MemoryDriver(), dict(faults)))
        context = opened(kind, counting, env=FakeEnv(), multipart_threshold=THRESHOLD, **options)
        contexts.append(context)
        return context.__enter__()

    yield make
    for context in contexts:
        context.__exit__(None, None, None)


def methods(store):
    return [request.method for request in store.driver.requests]


class Pipe(io.RawIOBase):
    """A file that can only be read forward, a few bytes at a time."""

    def __init__(self, data):
        self._data = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._data.readinto(memoryview(buffer)[:37])


def chunks(data):
    return (data[start : start + 77] for start in range(0, len(data), 77))


OPENED = []


@pytest.fixture(autouse=True)
def _closed_files():
    yield
    while OPENED:
        OPENED.pop().close()


def on_disk(data):
    file = tempfile.TemporaryFile()  # noqa: SIM115 - a fixture closes it
    OPENED.append(file)
    file.write(b"before" + data)
    file.seek(6)
    return file


REWINDABLE = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "file": on_disk,
}
ONE_SHOT = {"pipe": Pipe, "generator": chunks, "list": lambda data: [*chunks(data)]}


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("shape", [*REWINDABLE, *ONE_SHOT])
@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_body_of_any_kind_is_written_whole(made, shape, data, when):
    store = made()
    meta = store.put("k", (REWINDABLE | ONE_SHOT)[shape](data), when=when)
    assert store.get("k").data == data
    assert (meta.size, meta.etag) == (len(data), store.head("k").etag)
    assert methods(store)[0] == ("put" if len(data) <= THRESHOLD else "start_upload")


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("shape", REWINDABLE)
@pytest.mark.parametrize("when", [None, IfAbsent()])
def test_body_that_can_be_rewound_is_sent_again(made, shape, data, fault, when):
    store = made({0: fault})
    store.put("k", REWINDABLE[shape](data), when=when)
    assert store.get("k").data == data


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("shape", ONE_SHOT)
@pytest.mark.parametrize(
    ("fault", "when", "error"),
    [
        (Fault.CONFLICT_409, IfAbsent(), errors.Conflict409),
        (Fault.THROTTLED_429, IfAbsent(), errors.StoreUnavailable),
        (Fault.LOST_BEFORE, None, errors.StoreUnavailable),
        (Fault.LOST_BEFORE, IfAbsent(), errors.WriteOutcomeUnknown),
    ],
)
def test_body_that_can_be_read_once_is_sent_once(made, shape, data, fault, when, error):
    store = made({1 if data is LARGE else 0: fault})
    with pytest.raises(errors.StoreError) as raised:
        store.put("k", ONE_SHOT[shape](data), when=when)
    assert type(raised.value) is error
    sent = [name for name in methods(store) if name in ("put", "start_upload")]
    assert sent == ["start_upload" if data is LARGE else "put"]
    assert store.env.slept == []
    assert list(store.driver.inner.inner.list()) == []


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_lost_answer_to_a_stream_is_settled_by_looking(made, data):
    store = made({1 if data is LARGE else 0: Fault.LOST_AFTER})
    assert store.put("k", chunks(data), when=IfAbsent()).size == len(data)
    assert methods(store)[-1] == "head"


@pytest.mark.parametrize("given", ["text", ["text"], "text file", [1], 7, None, object()])
def test_what_is_no_body_is_refused_before_anything_is_sent(made, given):
    store = made()
    body = io.StringIO("text") if given == "text file" else given
    with pytest.raises(errors.StoreError, match="k: a body is"):
        store.put("k", body)
    assert methods(store) == []


def test_failing_iterator_leaves_nothing_and_its_error_is_raised(made):
    def broken():
        yield LARGE
        yield LARGE
        raise ZeroDivisionError

    aborted = []

    class Recording(MemoryDriver):
        def start_upload(self, *args, **options):
            upload = super().start_upload(*args, **options)
            real = upload.abort
            upload.abort = lambda: (aborted.append(1), real())
            return upload

    store = made(driver=Recording())
    with pytest.raises(ZeroDivisionError):
        store.put("k", (piece for piece in broken()), when=IfAbsent())
    assert list(store.list()) == []
    assert len(aborted) == 1


def test_file_that_changes_between_attempts_is_not_written(made):
    file = io.BytesIO(LARGE)

    class Truncating(MemoryDriver):
        def start_upload(self, *args, **options):
            file.truncate(THRESHOLD)
            return super().start_upload(*args, **options)

    store = made(driver=Truncating())
    with pytest.raises(errors.StoreError, match="changed while"):
        store.put("k", file)
    assert list(store.list()) == []


class OwnUploads(MemoryDriver):
    """Answers the completion of uploads as told, and counts parts and aborted uploads."""

    def __init__(self, answers=(), meanwhile=None):
        super().__init__()
        self.answers, self.meanwhile = [*answers], meanwhile
        self.events = []

    def start_upload(self, path, **options):
        driver, inner = self, super().start_upload(path, **options)

        class Wrapped:
            def write(self, data):
                driver.events.append("part")
                inner.write(data)

            def finish(self):
                driver.events.append("finish")
                answer = driver.answers.pop(0) if driver.answers else None
                if answer is not None and driver.meanwhile is not None:
                    driver.meanwhile(driver)
                return answer or inner.finish()

            def abort(self):
                driver.events.append("abort")
                inner.abort()

        driver.events.append("start")
        return Wrapped()


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr("atomic_manifest.store.policy.sending.PART_SIZE", len(LARGE) // 2)


ONE_TRY = ["start", "part", "part", "finish"]


def conflict():
    from atomic_manifest.store.driver import Contended, ContendedCause

    return Contended(ContendedCause.CONFLICT)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("shape", REWINDABLE)
def test_conflict_at_completion_sends_every_part_again(made, shape):
    driver = OwnUploads([conflict()])
    store = made(driver=driver)
    store.put("k", REWINDABLE[shape](LARGE), when=IfAbsent())
    assert driver.events == [*ONE_TRY, "abort", *ONE_TRY]
    assert store.get("k").data == LARGE
    assert methods(store)[:3] == ["start_upload", "head", "start_upload"]


@pytest.mark.usefixtures("small_parts")
def test_conflict_whose_condition_is_false_by_now_sends_nothing_again(made):
    driver = OwnUploads([conflict()], lambda driver: driver.put("k", b"theirs"))
    store = made(driver=driver)
    with pytest.raises(errors.AlreadyExists) as raised:
        store.put("k", LARGE, when=IfAbsent())
    assert raised.value.current_etag == store.head("k").etag
    assert driver.events == [*ONE_TRY, "abort"]


@pytest.mark.usefixtures("small_parts")
def test_conflicts_at_completion_are_bounded(made):
    driver = OwnUploads([conflict()] * 9)
    etag = driver.put("k", b"old").meta.etag
    store = made(driver=driver, retry=Retry(attempts=3))
    with pytest.raises(errors.Conflict409):
        store.put("k", LARGE, when=IfMatch(etag))
    assert driver.events == [*ONE_TRY, "abort"] * 3
    assert store.get("k").data == b"old"


@pytest.mark.usefixtures("small_parts")
def test_stream_is_not_sent_again_after_a_conflict_at_completion(made):
    driver = OwnUploads([conflict()])
    store = made(driver=driver)
    with pytest.raises(errors.Conflict409):
        store.put("k", chunks(LARGE), when=IfAbsent())
    assert driver.events == [*ONE_TRY, "abort"]
    assert list(store.list()) == []


def test_refused_completion_is_aborted_and_tells_the_current_etag(made):
    driver = OwnUploads()
    etag = driver.put("k", b"old").meta.etag
    store = made(driver=driver)
    with pytest.raises(errors.PreconditionFailed) as raised:
        store.put("k", LARGE, when=IfMatch("other"))
    assert raised.value.current_etag == etag
    assert driver.events[-1] == "abort"


class NoConditionalUploads(MemoryDriver):
    def start_upload(self, path, *, when=None, **options):
        if when is not None:
            raise errors.UnsupportedByStore("no", path=path)
        return super().start_upload(path, **options)


def test_large_bytes_go_in_one_request_where_parts_carry_no_condition(made):
    store = made(driver=NoConditionalUploads())
    store.put("k", LARGE, when=IfAbsent())
    assert methods(store) == ["start_upload", "put"]
    with pytest.raises(errors.AlreadyExists):
        store.put("k", LARGE, when=IfAbsent())
    with pytest.raises(errors.UnsupportedByStore):
        store.put("l", io.BytesIO(LARGE), when=IfAbsent())


def test_parts_of_a_huge_body_stay_within_their_number(monkeypatch, made):
    monkeypatch.setattr("atomic_manifest.store.policy.sending.PART_SIZE", 10)
    monkeypatch.setattr("atomic_manifest.store.policy.sending.MAX_PARTS", 7)
    driver = OwnUploads()
    made(driver=driver).put("k", io.BytesIO(LARGE))
    assert driver.events.count("part") == 7


@pytest.mark.parametrize("size", [1, 76, 77, 78, 5000])
def test_pieces_come_in_the_asked_sizes(size):
    for source in (
        File("k", Pipe(LARGE)),
        File("k", io.BytesIO(LARGE)),
        Chunks("k", chunks(LARGE)),
    ):
        assert not source.fits(THRESHOLD)
        pieces = []
        while piece := source.read(size):
            pieces.append(bytes(piece))
        assert b"".join(pieces) == LARGE
        assert {len(piece) for piece in pieces[:-1]} == {size}


def test_asynchronous_iterables_are_bodies_of_the_asynchronous_store():
    async def pieces(data):
        for piece in chunks(data):
            yield piece

    with opened("async", MemoryDriver(), env=FakeEnv(), multipart_threshold=THRESHOLD) as store:
        for data in (b"", SMALL, LARGE):
            store.put("k", pieces(data))
            assert store.get("k").data == data
        with pytest.raises(NotImplementedError):
            AsyncChunks("k", pieces(b"")).rewind()
    with (
        opened("blocking", MemoryDriver()) as store,
        pytest.raises(errors.InvalidRequest, match="async_generator"),
    ):
        store.put("k", pieces(SMALL))
