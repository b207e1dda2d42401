"""What `put` says is so, whatever happens to its requests: 1,000 seeded runs of each kind of write.

Each reply may be cut before or after the request landed, or be an error; and before any request
somebody else may write the key. What the memory driver carried out is recorded, and compared with what
the caller was told.
"""

import io
import random
from contextlib import suppress

import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, IfMatch, ObjectStore
from atomic_manifest.store.driver import Written
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.testing import FakeEnv, Fault, FaultyDriver
from tests.store.both import KINDS, opened

RUNS = 1000
MINE, THEIRS, OLD = b"mine", b"theirs", b"old"

NOT_WRITTEN = (
    errors.PreconditionFailed,
    errors.Conflict409,
    errors.Contended,
    errors.IdempotencyKeyReused,
)


class Recorder(MemoryDriver):
    """Keeps the ETag of every write of ours that landed, and lets somebody else write in between."""

    def __init__(self, intrude):
        super().__init__()
        self.landed = []
        self.intrude = intrude

    def put(self, path, data, **options):
        self.intrude(self)
        outcome = super().put(path, data, **options)
        if bytes(data) == MINE and isinstance(outcome, Written):
            self.landed.append(outcome.meta.etag)
        return outcome

    def head(self, path, **options):
        self.intrude(self)
        return super().head(path, **options)


class Unseen:
    """The driver of somebody else, whose requests are neither recorded nor disturbed."""

    def __init__(self, driver):
        self.driver = driver

    def put(self, *args, **options):
        return MemoryDriver.put(self.driver, *args, **options)

    def head(self, *args, **options):
        return MemoryDriver.head(self.driver, *args, **options)


def intrude(driver, **options):
    with suppress(errors.PreconditionFailed):
        ObjectStore(Unseen(driver)).put("k", THEIRS, **options)


def creator(driver):
    intrude(driver, when=IfAbsent())


def overwriter(driver):
    intrude(driver)


def swapper(driver):
    intrude(driver, when=IfMatch.ANY)


def scene(seed, intruder, share):
    """A driver whose faults and intruder follow from a seed."""
    dice = random.Random(seed)
    faulty = dice.choice([0.2, 0.5, 0.8])

    def fault(_number, _request):
        return dice.choice(list(Fault)) if dice.random() < faulty else None

    recorder = Recorder(lambda driver: intruder(driver) if dice.random() < share else None)
    return recorder, FaultyDriver(recorder, fault)


def told(store, recorder, data, **options):
    """Write, and check that what is told is so. Returns the kind of answer."""
    conditional = "when" in options or "idempotency_key" in options
    raised = None
    try:
        meta = store.put("k", data, **options)
    except (*NOT_WRITTEN, errors.StoreUnavailable, errors.WriteOutcomeUnknown) as error:
        raised = error
    if isinstance(raised, NOT_WRITTEN):
        assert recorder.landed == [], raised
    elif isinstance(raised, errors.StoreUnavailable):
        assert not (conditional and recorder.landed), raised
    elif raised is not None:
        assert conditional, raised
    else:
        assert meta.etag in recorder.landed
        assert not conditional or len(recorder.landed) == 1
    return "written" if raised is None else type(raised).__name__


KINDS_OF_WRITE = {
    "unconditional": (overwriter, lambda _old: {}),
    "create": (creator, lambda _old: {"when": IfAbsent()}),
    "swap": (swapper, lambda old: {"when": IfMatch(old)}),
    "keyed": (overwriter, lambda _old: {"idempotency_key": "a"}),
    "keyed create": (creator, lambda _old: {"idempotency_key": "a", "when": IfAbsent()}),
    "keyed swap": (swapper, lambda old: {"idempotency_key": "a", "when": IfMatch(old)}),
}


def runs(kind, count, seeds=0, share=0.1, body=lambda: MINE, threshold=10**6):
    """Make the runs of one kind of write; returns how often which answer was given."""
    answers = {}
    for seed in range(seeds, seeds + count):
        intruder, options = KINDS_OF_WRITE[kind]
        recorder, driver = scene(seed, intruder, share)
        old = None
        if "create" not in kind:
            old = MemoryDriver.put(recorder, "k", OLD).meta.etag
        env = FakeEnv(seed)
        store = ObjectStore(driver, env=env, multipart_threshold=threshold)
        try:
            answer = told(store, recorder, body(), **options(old))
        except AssertionError as error:
            raise AssertionError(f"seed {seed} of {kind}") from error
        answers[answer] = answers.get(answer, 0) + 1
    return answers


@pytest.mark.parametrize("kind", KINDS_OF_WRITE)
def test_answer_is_true_in_a_thousand_runs(kind):
    answers = runs(kind, RUNS)
    assert answers["written"] > RUNS // 4
    assert len(answers) > 1


@pytest.mark.parametrize("kind", KINDS_OF_WRITE)
def test_answer_is_true_of_multipart_uploads_and_streams(kind):
    if kind.startswith("keyed"):
        bodies = [lambda: MINE, lambda: io.BytesIO(MINE)]
    else:
        bodies = [lambda: MINE, lambda: io.BytesIO(MINE), lambda: iter([MINE])]
    for body in bodies:
        for threshold in (1, 100):
            assert runs(kind, 150, 5000, body=body, threshold=threshold)["written"] > 0


@pytest.mark.parametrize("kind", KINDS_OF_WRITE)
def test_nobody_else_and_one_lost_reply_is_always_settled(kind):
    """Without an intruder, an answer that is lost once never leaves the outcome open."""
    for number in range(4):
        for fault in Fault:
            recorder = Recorder(lambda _driver: None)
            old = None
            if "create" not in kind:
                old = MemoryDriver.put(recorder, "k", OLD).meta.etag
            store = ObjectStore(FaultyDriver(recorder, {number: fault}), env=FakeEnv())
            assert told(store, recorder, MINE, **KINDS_OF_WRITE[kind][1](old)) == "written"


@pytest.mark.parametrize("kind", KINDS_OF_WRITE)
def test_both_stores_decide_alike(kind):
    """The same seed gives the same requests and the same answer through either store."""
    intruder, options = KINDS_OF_WRITE[kind]
    for seed in range(30):
        outcomes = []
        for shape in KINDS:
            recorder, driver = scene(seed, intruder, 0.1)
            old = None
            if "create" not in kind:
                old = MemoryDriver.put(recorder, "k", OLD).meta.etag
            env = FakeEnv(seed)
            with opened(shape, driver, env=env) as store:
                outcomes.append((told(store, recorder, MINE, **options(old)), env.slept))
        assert outcomes[0] == outcomes[1]


def test_a_call_with_a_key_may_be_repeated_until_it_answers():
    """However the calls end, the body is written once and the last answer is that write."""
    for seed in range(200):
        recorder, driver = scene(seed, overwriter, 0)
        store = ObjectStore(driver, env=FakeEnv(seed))
        for _ in range(200):
            try:
                meta = store.put("k", MINE, idempotency_key="a")
                break
            except (errors.StoreUnavailable, errors.WriteOutcomeUnknown, errors.Conflict409):
                continue
        assert recorder.landed == [meta.etag]
