import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_manifest.errors import CorruptLog
from atomic_manifest.log.path import decode, decode_file_path, encode

segments = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1
).filter(lambda text: text not in (".", ".."))


@given(st.lists(segments, min_size=1, max_size=3).map("/".join))
def test_any_path_comes_back_and_is_plain_ascii_in_between(path):
    encoded = encode(path)
    assert encoded.isascii()
    assert decode(encoded) == path
    assert decode_file_path(encoded, version=3) == path


@pytest.mark.parametrize(
    ("path", "encoded"),
    [
        ("a=x%20y/f.parquet", "a=x%2520y/f.parquet"),
        ("special p@#h", "special%20p@%23h"),
        ("_2=bar+%2521/f", "_2=bar+%252521/f"),
        ("a:b", "a%3Ab"),
        ("ä", "%C3%A4"),
        ("[x]{y}?^", "%5Bx%5D%7By%7D%3F%5E"),
    ],
)
def test_what_a_uri_cannot_hold_is_percent_encoded(path, encoded):
    assert encode(path) == encoded


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/passwd",
        "%2Fetc/passwd",
        "s3://bucket/f.parquet",
        "s3:f",
        "s3:/f=1",
        "s3://b=1/f",
        "dc:type/a=1",
        "file:f",
        "file:/t/f.parquet",
        "FILE:///t/f.parquet",
        "../f.parquet",
        "a/../../f.parquet",
        "a/%2e%2E/f.parquet",
        "a/%2E./f",
        "./f.parquet",
        "a//f.parquet",
        "a/",
        "a%00b",
        "a\0b",
        "%FF.parquet",
    ],
)
def test_a_path_that_leaves_the_table_is_refused_naming_it_and_its_version(text):
    with pytest.raises(CorruptLog) as caught:
        decode_file_path(text, version=7)
    assert caught.value.path == text
    assert caught.value.version == 7
    assert "00000000000000000007.json" in str(caught.value)


def test_a_path_from_an_unknown_version_is_refused_naming_the_log():
    with pytest.raises(CorruptLog, match="_delta_log: "):
        decode_file_path("/x", version=None)


@pytest.mark.parametrize("text", ["a..b/f", "...", "%2E%2Ea", "a=b:c/f", "a%2Fb"])
def test_paths_that_only_look_odd_are_taken(text):
    assert decode_file_path(text, version=0) == decode(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("dc:type=a/f.parquet", "dc:type=a/f.parquet"),
        ("dc:type=a%2520b/f", "dc:type=a%20b/f"),
        ("dc%3Atype=a:b/f", "dc:type=a:b/f"),
        ("http:=z/f", "http:=z/f"),
        ("a=b:c/f", "a=b:c/f"),
        ("x/s3:f", "x/s3:f"),
        ("1:f", "1:f"),
    ],
)
def test_a_colon_in_the_folder_of_a_partition_is_no_scheme(text, path):
    assert decode_file_path(text, version=7) == path
