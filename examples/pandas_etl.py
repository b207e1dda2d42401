"""A nightly job that may run twice: the second run of the same night changes nothing.

python examples/pandas_etl.py [table]
"""

import sys
import tempfile

import pandas as pd

import atomic_manifest as am


def extract(night: int) -> pd.DataFrame:
    """What the job loads for one night."""
    hours = pd.date_range("2026-01-01", periods=24, freq="h", tz="UTC") + pd.Timedelta(days=night)
    return pd.DataFrame({"hour": hours, "trips": range(night, night + 24)})


def run(url: str, night: int) -> am.CommitResult:
    """The job. `txn` names the night: whatever retries it, the rows are there once."""
    return am.append(url, extract(night), txn=("nightly-trips", night))


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.mkdtemp()}/trips"
    for night in (0, 1, 1, 2):
        result = run(url, night)
        print(f"night {night}: version {result.version}, {result.rows} rows written")
    frame = am.Table.open(url).to_pandas()
    assert len(frame) == 3 * 24
    print(f"{len(frame)} rows, {frame['trips'].sum()} trips in {url}")


if __name__ == "__main__":
    main()
