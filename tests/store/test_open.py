"""URLs, and what opening them imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from atomic_manifest.errors import InvalidPath, InvalidStorageOption
from atomic_manifest.store import ObjectStore, open_store
from atomic_manifest.store.open import open_driver

KEYS = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("url", "options", "shown"),
    [
        ("s3://b/a/folder/", KEYS, "s3://b/a/folder"),
        ("s3a://b", KEYS, "s3a://b"),
        ("gs://b/x", {"bearer_token": "t"}, "gs://b/x"),
        ("gcs://b", {"bearer_token": "t"}, "gcs://b"),
        ("az://c/x", {"account_name": "a", "anon": True}, "az://c/x"),
        (
            "abfss://c@a.dfs.core.windows.net/x",
            {"anon": True},
            "abfss://c@a.dfs.core.windows.net/x",
        ),
        ("memory://name", {}, "memory://name"),
    ],
)
def test_url_of_a_store_is_shown_as_given(url, options, shown):
    store = open_store(url, options)
    assert isinstance(store, ObjectStore)
    assert store.url == shown
    assert shown in repr(store)


def test_local_paths_and_file_urls_are_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a b"
    open_store(folder).put("k", b"x")
    for url in (
        "a b",
        str(folder),
        folder.as_uri(),
        f"file://{folder}",
        f"file://localhost{folder}",
    ):
        assert open_store(url).get("k").data == b"x", url
        assert open_store(url).url == folder.as_uri()


def test_one_memory_name_is_one_store_in_the_process():
    open_store("memory://test-open/one").put("k", b"x")
    assert open_store("memory://test-open/one/").get("k").data == b"x"
    assert list(open_store("memory://test-open/two").list()) == []


@pytest.mark.parametrize(
    "url", ["http://host/x", "s3://", "s3:///key", "s3://KEY:SECRET@bucket/x", "file://host/x"]
)
def test_url_that_names_no_store_is_refused(url):
    with pytest.raises(InvalidPath) as raised:
        open_store(url)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("url", ["/tmp/x", "file:///tmp/x", "memory://x"])
def test_options_of_other_stores_are_refused(url):
    with pytest.raises(InvalidStorageOption, match="'key'"):
        open_store(url, {"key": "x"})


def test_configuration_that_the_sdk_refuses_is_refused_without_its_text():
    with pytest.raises(InvalidStorageOption) as raised:
        open_store("s3://b", {**KEYS, "timeout": "SECRET"})
    assert "SECRET" not in str(raised.value)
    assert raised.value.__context__ is None


def test_prefix_of_the_url_is_the_root(scripted):
    driver = open_driver("s3://b/a%20b/c", {**KEYS, "endpoint_url": scripted.url})
    driver.put("k", b"x")
    assert scripted.requests[0].path == "/b/a%2520b/c/k"


def test_importing_the_store_loads_no_sdk_and_no_arrow():
    script = (
        "import sys\n"
        "import atomic_manifest.store, atomic_manifest.testing\n"
        "from atomic_manifest.store import open_store\n"
        "open_store('memory://x'), open_store('/tmp')\n"
        "heavy = {'obstore', 'botocore', 'boto3', 'aiobotocore', 's3fs', 'fsspec', 'pyarrow',"
        " 'pandas', 'numpy', 'pytest', 'asyncio'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_public_names_are_all_there():
    from atomic_manifest import store, testing

    for module in (store, testing):
        assert all(hasattr(module, name) for name in module.__all__)
        assert list(module.__all__) == sorted(module.__all__)
    assert Path(store.__file__).name == "__init__.py"
