"""What a commit is to record of its caller's is refused before a write if the log cannot hold it."""

from collections.abc import Callable, Mapping

import deltalake
import pytest

import atomic_manifest as am
from tests.table.conftest import rows
from tests.table.test_bad_input import snapshot_of

WRITES: Mapping[str, Callable] = {
    "append": lambda table, **given: table.append(rows(2), **given),
    "overwrite": lambda table, **given: table.overwrite(rows(2), **given),
    "overwrite where": lambda table, **given: table.overwrite(rows(1), where="id = 1", **given),
    "delete": lambda table, **given: table.delete("id = 1", **given),
    "run": lambda table, **given: table.run(lambda tx: tx.append(rows(2)), **given),
    "first write": lambda table, **given: am.append(f"{table.url}-2", rows(2), **given),
}
TXNS = [("job", 2**63), ("job", -(2**63) - 1), ("\ud800", 1)]
INFOS = [{"by": object()}, {"by": "\ud800"}, "nightly", ["nightly"]]


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    "given", [*({"txn": txn} for txn in TXNS), *({"commit_info": info} for info in INFOS)]
)
def test_what_the_log_cannot_hold_is_refused_and_nothing_is_written(tmp_path, write, given):
    am.append(tmp_path / "t", rows(1))
    before = snapshot_of(tmp_path)
    with pytest.raises(am.errors.DataError, match=next(iter(given))):
        write(am.Table.open(tmp_path / "t"), **given)
    assert snapshot_of(tmp_path) == before


@pytest.mark.parametrize("version", [2**63 - 1, -(2**63)])
def test_the_extreme_versions_of_an_application_are_recorded_for_everybody(tmp_path, version):
    result = am.append(tmp_path / "t", rows(1), txn=("job", version))
    assert not result.already_committed
    table = am.Table.open(tmp_path / "t")
    table.checkpoint()
    assert am.Table.open(tmp_path / "t").append(rows(1), txn=("job", version)).already_committed
    assert deltalake.DeltaTable(str(tmp_path / "t")).transaction_version("job") == version
