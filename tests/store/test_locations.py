"""What is a URL, what is a path, and what is refused because it may be either."""

import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from pyarrow import fs as arrow_fs

import atomic_manifest as am
from atomic_manifest.errors import InvalidPath
from atomic_manifest.store import open_store

SECRET = "sEcReT"

NO_FOLDERS = [
    ("", "empty"),
    (" ", "empty"),
    ("\t\n", "empty"),
    ("a\0b", "NUL"),
    ("dbfs:/mnt/lake/t", "/dbfs/folder"),
    ("dbfs:mnt/t", "/dbfs/folder"),
    ("wasbs:/c/t", "abfss://container@account"),
    ("wasb:/c/t", "abfss://"),
    ("adl:/c/t", "abfss://"),
    ("hdfs:/x/t", "hdfs://host"),
    ("viewfs:/x/t", "names no store"),
    ("webhdfs:/x", "names no store"),
    ("oss:b/t", "names no store"),
    ("s3n:/b/t", "s3://bucket/folder"),
    ("s3:b/t", "s3://bucket/folder"),
    ("s3:/b/t", "s3://bucket/folder"),
    ("S3:/b/t", "s3://bucket/folder"),
    ("s3a:b", "s3://bucket/folder"),
    ("gs:/x", "gs://bucket/folder"),
    ("gs:x", "gs://bucket/folder"),
    ("az:c/t", "abfss://"),
    ("file:x", "file:///folder"),
    ("memory:x", "memory://name"),
    ("http:/host/x", "http://host"),
    ("https:host/x", "https://host"),
    ("name:t", r"written \./name"),
    ("s3n://b/t", "s3://bucket/folder"),
    ("wasbs://c@a.blob.core.windows.net/t", "abfss://container@account"),
    ("1s3://b/t", "starts with a scheme"),
    ("s3 ://b/t", "starts with a scheme"),
    (" s3://b/t", "white space"),
    ("s3://b/t\n", "white space"),
    (" /tmp/t", "white space"),
    ("s3://b/t\x07x", "control character"),
    ("~/lake/t", "expanduser"),
    (f"s3://b/t?X-Amz-Signature={SECRET}", "query"),
    (f"s3://b/t#{SECRET}", "query"),
    (f"gs://b/t?{SECRET}", "query"),
    (f"az://c/t?sig={SECRET}", "sas_token"),
    (f"abfss://c@a.dfs.core.windows.net/t?sig={SECRET}", "sas_token"),
    (f"az://c?sig={SECRET}", "sas_token"),
    (f"https://h/t?sig={SECRET}", "query"),
    (f"file:///t?sig={SECRET}", "query"),
    (f"file://u:{SECRET}@host/t", "another host"),
    (f"memory://t?{SECRET}", "query"),
    (f"s3://KEY:{SECRET}@b/t", "bucket"),
    (f"gs://{SECRET}@b/t", "bucket"),
    (f"az://c@u:{SECRET}@h/t", "bucket"),
    (f"{SECRET}@b://x", "starts with a scheme"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "told"), NO_FOLDERS)
def test_what_looks_like_a_url_never_becomes_a_folder(url, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = pa.table({"i": [1]})
    for write in (am.append, am.Table.create):
        with pytest.raises(InvalidPath, match=told) as raised:
            write(url, rows) if write is am.append else write(url, schema=rows.schema)
        assert SECRET not in repr(raised.value) + str(raised.value.__dict__)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="there they are paths")
@pytest.mark.parametrize("path", ["C:\\lake\\t", "c:/lake/t", "c:t", "\\\\host\\share\\t"])
def test_paths_of_windows_are_no_folders_elsewhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidPath, match="of Windows"):
        am.append(path, pa.table({"i": [1]}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["./s3:b/t", "./dc:type=a", Path("dc:type=a"), Path(" a"), "a b", "a?b#c", "a://b", "./~"],
)
def test_folder_with_such_a_name_can_be_said(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if path == "a://b":
        path = tmp_path / "a:" / "b"
    am.append(path, pa.table({"i": [1]}))
    assert (tmp_path / path / "_delta_log").is_dir()
    assert am.Table.open(path).to_arrow().num_rows == 1


@pytest.mark.parametrize("path", [Path("s3://b/t"), Path("dbfs:/t"), Path("x:/t"), Path("s3:b")])
def test_path_object_that_was_a_url_is_no_folder(path):
    with pytest.raises(InvalidPath):
        open_store(path)


@pytest.mark.parametrize(
    "opened", [fsspec.filesystem("file"), arrow_fs.LocalFileSystem()], ids=["fsspec", "pyarrow"]
)
@pytest.mark.parametrize("root", ["s3://b/t", "s3:b/t", "", "dbfs:/x"])
def test_filesystem_of_local_files_takes_no_url_of_a_bucket(opened, root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidPath):
        am.append(root, pa.table({"i": [1]}), filesystem=opened)
    assert list(tmp_path.iterdir()) == []


def test_root_of_a_folder_of_a_filesystem_may_be_empty(tmp_path):
    folder = DirFileSystem(str(tmp_path), fsspec.filesystem("file"))
    assert open_store("", filesystem=folder).url == tmp_path.as_uri()


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_filesystem_of_a_bucket_takes_no_url_of_another_service(kind):
    opened = fsspec.filesystem(
        kind, skip_instance_cache=True, **{"anon": True} if kind == "s3" else {"token": "anon"}
    )
    with pytest.raises(InvalidPath):
        open_store("az://c/t", filesystem=opened)
    with pytest.raises(InvalidPath) as raised:
        open_store(f"{opened.protocol[0]}://b/t?sig={SECRET}", filesystem=opened)
    assert SECRET not in str(raised.value)
    assert open_store("b/t?x", filesystem=opened).url.endswith("://b/t?x")
