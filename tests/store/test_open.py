"""URLs, and what opening them imports."""

import asyncio
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from atomic_manifest.errors import InvalidPath, InvalidStorageOption, UnsupportedByStore
from atomic_manifest.store import IfAbsent, ObjectStore, open_async_store, open_store
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
        f"file:{folder}",
        f"file://localhost{folder}",
    ):
        assert open_store(url).get("k").data == b"x", url
        assert open_store(url).url == folder.as_uri()


@pytest.mark.parametrize(
    "url", [Path("s3://bucket/table"), "gs:/bucket/table", "https:/user:hidden@host/table"]
)
def test_a_url_that_lost_a_slash_is_no_local_folder(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidPath, match=r"one slash after (s3|gs|https):") as raised:
        open_store(url)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("url", [None, 7, b"folder", ["folder"]])
def test_what_is_no_url_is_refused_by_its_type(url):
    with pytest.raises(InvalidPath, match=f"got {type(url).__name__}"):
        open_store(url)


def test_one_memory_name_is_one_store_in_the_process():
    open_store("memory://test-open/one").put("k", b"x")
    assert open_store("memory://test-open/one/").get("k").data == b"x"
    assert list(open_store("memory://test-open/two").list()) == []


@pytest.mark.parametrize(
    "url",
    [
        "nonsense://host/x",
        "s3://",
        "s3:///key",
        "s3://KEY:SECRET@bucket/x",
        "file://host/x",
        "https://KEY:SECRET@host/x",
        "https://host/x?signature=SECRET",
        "https:///x",
        "simplecache::s3://bucket/SECRET",
    ],
)
def test_url_that_names_no_store_is_refused(url):
    with pytest.raises(InvalidPath) as raised:
        open_store(url)
    assert "SECRET" not in str(raised.value)


LOCAL = ["/tmp/x", "file:///tmp/x", "memory://x"]


@pytest.mark.parametrize("url", LOCAL)
@pytest.mark.parametrize(
    "option",
    [
        "key",
        "AWS_ACCESS_KEY_ID",
        "aws_region",
        "endpoint_url",
        "client_kwargs",
        "google_service_account",
        "azure_storage_account_key",
        "connection_string",
        "auth",
        "timeout",
        "auto_mkdir",
        "conditional_put",
    ],
)
def test_options_of_other_stores_are_left_alone_by_local_ones(url, option, caplog):
    caplog.set_level("DEBUG", "atomic_manifest")
    value = "assume" if option == "conditional_put" else "SECRET"
    open_store(url, {option: value, "region": None})
    (line,) = [record.getMessage() for record in caplog.records]
    assert repr(option) in line
    assert "SECRET" not in line


@pytest.mark.parametrize(
    ("url", "option", "meant"),
    [
        *[(url, "acces_key_id", "access_key_id") for url in LOCAL],
        *[(url, "AWS_ACCES_KEY_ID", "AWS_ACCESS_KEY_ID") for url in LOCAL],
        ("s3://b/t", "AWS_SECRET_ACESS_KEY", "AWS_SECRET_ACCESS_KEY"),
        ("s3://b/t", "aws_regoin", "aws_region"),
        ("s3://b/t", "endpoint_ulr", "endpoint_url"),
        ("s3://b/t", "client_kwarg", "client_kwargs"),
        ("gs://b/t", "google_service_acount", "google_service_account"),
        ("gs://b/t", "tokn", "token"),
        ("az://b/t", "acount_name", "account_name"),
        ("az://b/t", "azure_storage_account_kye", "azure_storage_account_key"),
        ("az://b/t", "conection_string", "connection_string"),
        ("https://h/t", "headrs", "headers"),
        ("https://h/t", "usernam", "username"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_name_that_was_meant(url, option, meant):
    with pytest.raises(InvalidStorageOption, match=f"did you mean '{meant}'") as caught:
        open_store(url, {option: "PLANTED"})
    assert caught.value.option == option
    assert "PLANTED" not in str(caught.value)


@pytest.mark.parametrize("url", ["/tmp/x", "s3://b/t", "gs://b/t", "az://b/t", "https://h/t"])
def test_what_resembles_no_option_is_refused_without_a_guess(url):
    with pytest.raises(InvalidStorageOption, match="'zzz' is not known") as caught:
        open_store(url, {"zzz": "x"})
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenn": "SECRET"}, "'tokenn' is not known"),
        ({"auth": "SECRET", "token": "SECRET2"}, "'auth' contradicts"),
        ({"auth": ("a", "b", "SECRET")}, "'auth' must be user and password"),
        ({"auth": ("us:er", "SECRET")}, "colon"),
        ({"password": "SECRET"}, "'password' needs a username"),
        ({"headers": "SECRET"}, "'headers' must map"),
        ({"headers": {"X-Key": "SECRET\n"}}, "'headers' must be printable"),
        ({"timeout": "SECRET"}, "'timeout' must be a number"),
        ({"connect_timeout": 0}, "'connect_timeout' must be a number"),
        ({"ca_bundle": 7}, "'ca_bundle' must be printable"),
    ],
)
def test_options_that_http_cannot_have_are_refused_without_their_values(options, message):
    with pytest.raises(InvalidStorageOption, match=message) as raised:
        open_store("https://host/x", options)
    assert "SECRET" not in str(raised.value)


def test_options_of_http_are_sent(scripted):
    options = {"headers": {"X-Key": "k"}, "username": "u", "password": "pü", "timeout": 5}
    open_store(f"{scripted.url}/x", options).delete("k")
    told = scripted.requests[-1].headers
    assert (told["x-key"], told["authorization"]) == ("k", "Basic dTpww7w=")
    open_store(f"{scripted.url}/x", {"bearer_token": "t"}).delete("k")
    assert scripted.requests[-1].headers["authorization"] == "Bearer t"


def test_other_urls_are_opened_by_fsspec(tmp_path):
    assert open_store(f"local://{tmp_path}").url == tmp_path.as_uri()
    with pytest.raises(InvalidStorageOption, match="ftp://") as raised:
        open_store("ftp://SECRET@127.0.0.1:9/x", {"timeout": 1})
    assert "SECRET" not in str(raised.value)
    assert raised.value.__context__ is None


def test_url_whose_package_is_missing_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(UnsupportedByStore, match="sftp://"):
        open_store("sftp://host/x")


def test_options_of_a_filesystem_that_is_open_are_refused(tmp_path):
    files = fsspec.filesystem("file")
    open_store(tmp_path, {"conditional_put": "assume", "key": None}, filesystem=files)
    with pytest.raises(InvalidStorageOption, match="'key'"):
        open_store(tmp_path, {"key": "x"}, filesystem=files)


def test_asynchronous_store_is_of_the_same_place(tmp_path):
    async def use():
        async with open_async_store(tmp_path) as store:
            await store.put("k", b"x", when=IfAbsent())
            return store.url

    assert asyncio.run(use()) == tmp_path.as_uri()
    assert open_store(tmp_path).get("k").data == b"x"


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
        " 'pandas', 'numpy', 'pytest', 'asyncio', 'urllib3', 'aiohttp', 'gcsfs', 'adlfs'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_public_names_are_all_there():
    from atomic_manifest import store, testing

    for module in (store, testing):
        assert all(hasattr(module, name) for name in module.__all__)
        assert list(module.__all__) == sorted(module.__all__)
    assert Path(store.__file__).name == "__init__.py"
