"""A commit whose answer is lost, and whose own entry then comes damaged."""

import pyarrow as pa
import pytest

from atomic_manifest.commit.driver import run
from atomic_manifest.commit.messages import Budget, Committed, Unknown
from atomic_manifest.errors import CommitOutcomeUnknown
from atomic_manifest.first_write import create
from atomic_manifest.handle import Handle
from atomic_manifest.log.entry import decode, entry_path
from atomic_manifest.log.state.snapshot import load
from atomic_manifest.ops.create import TableSpec
from atomic_manifest.store.memory import MemoryDriver
from atomic_manifest.store.object_store import ObjectStore
from atomic_manifest.table import Table
from atomic_manifest.testing import (
    Damage,
    DamagingDriver,
    FakeEnv,
    Fault,
    FaultyDriver,
    seeded_damage,
)
from tests.commit.actions import add, intent

ROWS = pa.table({"a": [1]})


def lost_and_damaged(memory, damage, times, fault=Fault.LOST_AFTER):
    """The PUT of every entry meets the fault; the first reads of the log come damaged."""
    count = iter(range(times))

    def damages(_number, path):
        hit = path.startswith("_delta_log/0") and next(count, None) is not None
        return damage if hit else None

    def faults(_number, request):
        return fault if request.method == "put" and request.path.endswith(".json") else None

    return FaultyDriver(DamagingDriver(memory, damages), faults)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.DELAYED, Fault.ERROR_500])
def test_a_lost_answer_and_damaged_reads_of_the_own_entry_end_as_what_is_so(fault, damage, times):
    memory = MemoryDriver()
    for version in range(5):
        memory.put(entry_path(version), b'{"commitInfo":{}}\n')
    driver = lost_and_damaged(memory, damage, times, fault)
    outcome = run(intent(add()), driver, FakeEnv(), Budget(attempts=6, seconds=60)).outcome
    there = [m.path for m in memory.list("_delta_log") if m.path == entry_path(5)]
    if isinstance(outcome, Committed):
        assert decode(memory.get(entry_path(outcome.version)).data, 5).holds("mine")
    else:
        assert isinstance(outcome, Unknown)
        assert not there or 5 in outcome.versions


def handle(driver, env, snapshot=None):
    store = ObjectStore(driver, env=env)
    return Table(Handle(store, snapshot or load(store), env, Budget()), Budget())


@pytest.fixture
def created():
    driver = MemoryDriver()
    url_env = FakeEnv()

    create(ObjectStore(driver, env=url_env), TableSpec(ROWS.schema), env=url_env, budget=Budget())
    return driver


@pytest.mark.parametrize("damage", Damage)
def test_the_files_stay_and_the_append_is_acknowledged(created, damage):
    table = handle(created, FakeEnv())
    broken = lost_and_damaged(created, damage, times=1)
    table = Table(
        Handle(ObjectStore(broken, env=FakeEnv()), table._handle.snapshot, FakeEnv(), Budget()),
        Budget(),
    )
    assert table.append(ROWS).version == 1
    assert handle(created, FakeEnv()).to_arrow().num_rows == 1


@pytest.mark.parametrize("damage", Damage)
def test_the_files_stay_if_the_own_entry_cannot_be_read_at_all(created, damage):
    snapshot = handle(created, FakeEnv())._handle.snapshot
    table = handle(lost_and_damaged(created, damage, times=10**9), FakeEnv(), snapshot)
    with pytest.raises(CommitOutcomeUnknown, match="cannot be read") as caught:
        table.append(ROWS)
    sound = handle(created, FakeEnv())
    assert sound.to_arrow().num_rows == 1
    assert sound.resolve(caught.value).version == 1


@pytest.mark.parametrize("seed", range(10))
def test_appends_and_reads_go_on_while_reads_of_the_log_are_damaged(created, seed):
    damages = seeded_damage(seed, 0.2)

    def of_the_log(number, path):
        return damages(number, path) if path.startswith("_delta_log") else None

    driver = DamagingDriver(created, of_the_log)
    env = FakeEnv(seed)
    writers = [handle(driver, env) for _ in range(2)]
    for number in range(12):
        writers[number % 2].append(ROWS)
    assert handle(driver, FakeEnv()).to_arrow().num_rows == 12
    assert driver.damaged
