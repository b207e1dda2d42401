"""A nightly job that may run twice: a second run of a night changes nothing, whichever nights came between.

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
    """The job. Whatever retries it, the rows are there once.

    The night is in the name of the application, because nights may be loaded again or late. The number
    is a high-water mark: with `("nightly-trips", night)` a night before the last one would be refused.
    """
    return am.append(url, extract(night), txn=(f"nightly-trips/{night}", 1))


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.mkdtemp()}/trips"
    for night in (0, 2, 2, 1):
        result = run(url, night)
        print(f"night {night}: version {result.version}, {result.rows} rows written")
    frame = am.Table.open(url).to_pandas()
    assert len(frame) == 3 * 24
    print(f"{len(frame)} rows, {frame['trips'].sum()} trips in {url}")


if __name__ == "__main__":
    main()
