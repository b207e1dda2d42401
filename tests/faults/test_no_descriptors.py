"""A process that may open so many files and no more, in fact."""

import subprocess
import sys

import pytest

import atomic_manifest as am

pytestmark = pytest.mark.faults

SCRIPT = """
import os, resource, sys
import pyarrow as pa
import atomic_manifest as am
from atomic_manifest.commit.messages import Budget
from atomic_manifest.testing import FakeEnv

path = sys.argv[1]
table = am.Table.open(path, env=FakeEnv(), budget=Budget(attempts=3, seconds=5))
done = 0
for value in range(3):  # loads what is loaded once, and opens what stays open
    table.append(pa.table({"i": [done]}))
    done += 1
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
refused = 0
used = max(map(int, os.listdir("/proc/self/fd"))) + 1
while os.open("/dev/null", os.O_RDONLY) < used:
    pass
used += 1
for spare in range(8):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
    try:
        table.append(pa.table({"i": [done]}))
    except am.CommitOutcomeUnknown as error:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
        done += table.resolve(error).state.value == "committed"
    except am.AtomicManifestError:
        refused += 1
    else:
        done += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 100, hard))
assert refused and done > 5, (refused, done)
print(done)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts its open files in /proc")
def test_appends_without_free_file_descriptors_fail_or_are_in_the_table_once(tmp_path):
    path = tmp_path / "t"
    am.append(path, {"i": [-1]})
    command = [sys.executable, "-W", "error", "-c", SCRIPT, path]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert sorted(am.Table.open(path).to_arrow()["i"].to_pylist()) == [*range(-1, int(ran.stdout))]
