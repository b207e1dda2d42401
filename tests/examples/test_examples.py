"""Every example runs, and so does every block of Python in the README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_examples():
    assert {path.name for path in EXAMPLES} >= {
        "pandas_etl.py",
        "pyarrow_dataset.py",
        "concurrent_ingest.py",
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example(example, tmp_path):
    assert (
        str(tmp_path / "table") in run(str(example), str(tmp_path / "table"), folder=tmp_path)
        or (tmp_path / "table" / "_delta_log").is_dir()
    )


@pytest.mark.parametrize("block", [block for block in BLOCKS if "s3://" not in block])
def test_block_of_the_readme(block, tmp_path):
    assert run("-c", block, folder=tmp_path)


@pytest.mark.parametrize("block", [block for block in BLOCKS if "s3://" in block])
def test_s3_block_of_the_readme(block, tmp_path, ministack):
    """As it is printed, but for the credentials and the bucket, which come from the server."""
    options = f"options = {ministack.storage_options!r}\n"
    block = re.sub(r"options = \{.*?\}[^\n]*\n", options, block, flags=re.DOTALL)
    block = block.replace("s3://lake/", f"s3://{ministack.new_bucket()}/")
    run("-c", block, folder=tmp_path)
