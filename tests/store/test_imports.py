"""The store floor loads no SDK, and nothing that tables need, before something is opened."""

import subprocess
import sys

HEAVY = {
    *("pandas", "pyarrow", "numpy", "fsspec", "s3fs", "gcsfs", "adlfs", "aiohttp", "msgspec"),
    *("botocore", "aiobotocore", "boto3", "obstore", "azure", "google", "asyncio", "requests"),
}


def loaded(code: str) -> set[str]:
    show = f"import sys; print(*({HEAVY!r} & set(sys.modules)))"
    command = [sys.executable, "-c", f"{code}\n{show}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_store_floor_loads_nothing_heavy():
    assert loaded("import atomic_manifest.store") == set()


def test_memory_and_local_files_load_nothing_heavy():
    code = "from atomic_manifest.store import open_store\n"
    code += "for url in ('memory://x', '.'):\n    store = open_store(url)\n    list(store.list())"
    assert loaded(code) == set()


def test_a_bucket_loads_one_sdk_only():
    code = "from atomic_manifest.store import open_store\n"
    code += "open_store('s3://bucket', {'key': 'k', 'secret': 's', 'region': 'r'})"
    assert loaded(code) & {"s3fs", "boto3", "aiohttp", "fsspec", "pyarrow", "pandas"} == set()


def test_capabilities_of_a_known_store_send_nothing_and_load_no_second_sdk():
    code = "from atomic_manifest.store import open_store\n"
    code += "open_store('s3://bucket', {'key': 'k', 'secret': 's', 'region': 'r'}).capabilities"
    assert loaded(code) & {"s3fs", "boto3", "aiohttp", "fsspec", "pyarrow", "pandas"} == set()
