"""Wrong wall clocks lose no acknowledged commit."""

import pyarrow as pa
import pytest

import atomic_manifest as am
from atomic_manifest.env import SystemEnv

DAY = 86_400


class Skewed(SystemEnv):
    """A machine whose wall clock is wrong by so many days, and whose other one may have stood still."""

    def __init__(self, days):
        super().__init__()
        self.days = days
        self.rested = 0.0

    def now(self):
        return super().now() + self.days * DAY

    def monotonic(self):
        return super().monotonic() + self.rested * DAY


def rows(value):
    return pa.table({"w": [value]})


@pytest.mark.parametrize(
    ("ahead", "opened", "then", "rested", "configuration"),
    [
        (0, 0, 0, 0, {}),
        (40, 0, 0, 0, {}),
        (4000, 0, 0, 0, {"delta.checkpointPolicy": "v2"}),
        (2, 0, 0, 0, {"delta.logRetentionDuration": "interval 1 days"}),
        (-40, 0, 0, 0, {}),
        (40, 60, 40, 40, {}),  # set back while it rested
        (40, 60, 60.0001, 40, {}),  # by as much as it rested
        (40, 60, 0, 0, {}),
    ],
)
def test_a_writer_that_rested_beside_a_wrong_clock_is_acknowledged_truthfully(
    tmp_path, ahead, opened, then, rested, configuration
):
    url = str(tmp_path / "t")
    schema = pa.schema([("w", pa.int64())])
    table = am.Table.create(
        url, schema, configuration={"delta.checkpointInterval": "10"} | configuration
    )
    for value in range(4):
        table.append(rows(value))
    env = Skewed(opened)
    resting = am.Table.open(url, env=env)
    for value in range(11):
        table.append(rows(100 + value))
    hasty = am.Table.open(url, env=Skewed(ahead))
    for value in range(6):
        hasty.append(rows(200 + value))
    env.days, env.rested = then, rested
    assert resting.append(rows(777)).version == 22
    assert 777 in am.Table.open(url).to_arrow()["w"].to_pylist()


def test_a_handle_whose_clock_was_set_back_looks_again_once(tmp_path, monkeypatch):
    url = str(tmp_path / "t")
    am.append(url, rows(1))
    env = Skewed(60)
    table = am.Table.open(url, env=env)
    env.days = 0
    looked = []
    load = am.handle.load
    monkeypatch.setattr(
        am.handle, "load", lambda *given, **more: looked.append(1) or load(*given, **more)
    )
    for value in range(3):
        table.append(rows(value))
    assert len(looked) == 1
