"""Bad URLs, endpoints, names and option values: refused by name, by every driver, before any SDK."""

import asyncio
import random
from contextlib import suppress

import fsspec
import pytest

from atomic_manifest import errors
from atomic_manifest.store import IfAbsent, addresses, open_store
from atomic_manifest.store.options import cloud, s3

NOWHERE = "http://127.0.0.1:9"
SECRET = "sEcReT"
S3 = {"key": "k", "secret": "s", "region": "r"}
GCS = {"bearer_token": "t"}
AZURE = {"account_name": "a", "account_key": "aGk="}
STORES = [("s3://bucket/t", S3), ("gs://bucket/t", GCS), ("az://container/t", AZURE)]

BAD_ENDPOINTS = [
    "localhost:9000",
    "s3.eu-central-1.amazonaws.com",
    "http://minio:9000 ",
    " http://minio:9000",
    "http://",
    "http:///x",
    "http://:9000",
    "http:/minio:9000",
    "http:minio:9000",
    "//minio:9000",
    "HTTP://minio:9000",
    "ftp://minio:9000",
    "file:///minio",
    "http://minio:99999",
    "http://minio:0",
    "http://minio:port",
    "http://minio:-1",
    "http://minio:1:2",
    "http://[::1",
    "http://[::1%25eth0]",
    "http://::1",
    "http://256.1.1.1",
    "http://1.2.3",
    "http://host.0x7f",
    "http://mi nio",
    "http://minïo",
    "http://mi%20nio",
    "http://xn--a",
    "http://a..b",
    "http://minio\\x",
    "http://minio/a b",
    "http://minio/ä",
    "http://minio/{x}",
    "http://minio/%zz",
    "http://minio/<x>",
    f"http://user:{SECRET}@minio:9000",
    f"http://{SECRET}@minio:9000",
    f"http://minio:9000?token={SECRET}",
    f"http://minio:9000/#{SECRET}",
    "",
    " ",
    ":",
    "h",
    "http://" + "a" * 64,
    "http://" + "a." * 150,
]
GOOD_ENDPOINTS = [
    "http://127.0.0.1:9",
    "http://127.0.0.1:9/",
    "http://127.0.0.1:9/base/path",
    "http://[::1]:9",
    "https://localhost:9",
    "http://my_minio-1.local.:9",
    "http://xn--mnchen-3ya.invalid:9",
]


@pytest.mark.parametrize("endpoint", BAD_ENDPOINTS)
@pytest.mark.parametrize(("url", "options"), STORES)
def test_bad_endpoint_is_refused_by_the_name_of_its_option(url, options, endpoint):
    with pytest.raises(errors.InvalidStorageOption, match="'endpoint_url'") as raised:
        open_store(url, {**options, "endpoint_url": endpoint})
    assert raised.value.option == "endpoint_url"
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("endpoint", GOOD_ENDPOINTS)
@pytest.mark.parametrize(("url", "options"), STORES)
def test_good_endpoint_is_taken(url, options, endpoint):
    store = open_store(url, {**options, "endpoint_url": endpoint, "proxy_url": NOWHERE})
    with pytest.raises(errors.StoreUnavailable):
        store.driver.get("k")


@pytest.mark.parametrize(
    "url",
    [
        *(text for text in BAD_ENDPOINTS if text.startswith("http://") and "minio/" not in text),
        f"http://minio/x?{SECRET}",
        f"http://minio/x#{SECRET}",
        "http://minio/a\nb",
    ],
)
def test_bad_url_of_an_http_store_is_refused(url):
    with pytest.raises(errors.InvalidPath) as raised:
        open_store(url)
    assert SECRET not in str(raised.value)


def test_scheme_in_capitals_is_the_same_http_store():
    assert open_store("HTTP://host/a b").url == "http://host/a%20b"


@pytest.mark.parametrize(
    ("url", "option", "variable"),
    [
        ("s3://b/t", "endpoint_url", "AWS_ENDPOINT_URL"),
        ("s3://b/t", "metadata_endpoint", "AWS_METADATA_ENDPOINT"),
        ("gs://b/t", "endpoint_url", "GOOGLE_BASE_URL"),
        ("az://c/t", "endpoint", "AZURE_STORAGE_ENDPOINT"),
        ("az://c/t", "authority_host", "AZURE_AUTHORITY_HOST"),
        ("az://c/t", "tenant_id", "AZURE_TENANT_ID"),
        ("az://c/t", "account_name", "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_environment_is_checked_unless_an_option_overrides_it(url, option, variable, monkeypatch):
    monkeypatch.setenv(variable, "no where")
    good = "name" if option in ("tenant_id", "account_name") else NOWHERE
    given = dict(next(more for like, more in STORES if like[:2] == url[:2]))
    given.pop(option, None)
    with pytest.raises(errors.InvalidStorageOption, match=variable):
        open_store(url, given)
    open_store(url, {**given, option: good})


@pytest.mark.parametrize(
    "name", ["a b", "ä", "a%b", "a\\b", "a?b", "a#b", "a:b", "a<b", "..", "😀"]
)
@pytest.mark.parametrize(("scheme", "options"), [("s3", S3), ("gs", GCS), ("az", AZURE)])
def test_bad_bucket_is_refused(scheme, options, name):
    with pytest.raises(errors.InvalidPath, match=f"{scheme}://"):
        open_store(f"{scheme}://{name}/t", options)


@pytest.mark.parametrize(
    ("url", "options", "option"),
    [
        ("s3://b/t", {**S3, "region": "eu central"}, "region"),
        ("s3://b/t", {**S3, "region": "x/y"}, "region"),
        ("s3://xn--a/t", {**S3, "virtual_hosted_style_request": True}, "virtual_hosted"),
        (
            "s3://b/t",
            {**S3, "endpoint_url": NOWHERE, "virtual_hosted_style_request": True},
            "virtual_hosted",
        ),
        ("s3://b/t", {"metadata_endpoint": "a b"}, "metadata_endpoint"),
        ("s3://b/t", {"sts_endpoint": "a b"}, "sts_endpoint"),
        ("s3://b/t", {"container_credentials_relative_uri": "a b"}, "container_credentials"),
        ("s3://b/t", {"container_credentials_full_uri": "a b"}, "container_credentials"),
        ("s3://b/t", {**S3, "server_side_encryption": "rot13"}, "'aws:kms'"),
        ("s3://b/t", {**S3, "checksum_algorithm": "md4"}, "'SHA256'"),
        ("s3://b/t", {**S3, "timeout": "soon"}, "timeout"),
        ("s3://b/t", {**S3, "proxy_url": "proxy:3128"}, "proxy_url"),
        ("gs://b/t", {**GCS, "gcs_api": "soap"}, "'xml' or 'json'"),
        ("gs://b/t", {"service_account_key": SECRET}, "service_account_key"),
        ("gs://b/t", {"token": f"/{SECRET}"}, "service_account"),
        ("az://c/t", {"account_name": "a b"}, "account_name"),
        ("az://c/t", {"account_name": "a", "account_key": SECRET + "!"}, "account_key"),
        ("az://c/t", {**AZURE, "tenant_id": "a b"}, "tenant_id"),
        ("az://c/t", {**AZURE, "authority_host": "login"}, "authority_host"),
        ("az://c/t", {**AZURE, "msi_endpoint": "login"}, "msi_endpoint"),
        ("https://host/t", {"proxy_url": "proxy:3128"}, "proxy_url"),
        ("https://host/t", {"headers": {"X Y": "1"}}, "headers"),
        ("https://host/t", {"headers": {"X": "€"}}, "headers"),
        ("https://host/t", {"token": "€"}, "token"),
    ],
)
def test_bad_value_of_an_option_is_named_and_not_shown(url, options, option):
    with pytest.raises(errors.InvalidStorageOption, match=option) as raised:
        open_store(url, options)
    assert SECRET not in str(raised.value)


def test_proxy_may_have_a_user_and_does_not_show_it():
    options = {**S3, "endpoint_url": NOWHERE, "proxy_url": f"http://u:{SECRET}@127.0.0.1:9"}
    with pytest.raises(errors.StoreUnavailable) as raised:
        open_store("s3://b/t", options).driver.get("k")
    assert SECRET not in str(raised.value)


def test_host_of_adlfs_needs_no_scheme():
    options = {"account_name": "a", "anon": True, "account_host": "a.blob.core.example"}
    assert (
        cloud.read_azure_options(options, None).config["endpoint"] == "https://a.blob.core.example"
    )


def value_for(setting):
    """One that the setting can have."""
    flags = {"disable", "imdsv1", "request", "skip", "sse_bucket", "unsigned", "virtual", "use_"}
    choices = {"server_side_encryption": "AES256", "checksum_algorithm": "SHA256", "api": "xml"}
    if setting in choices:
        return choices[setting]
    if any(setting.startswith(start) for start in flags) or setting == "allow_http":
        return True
    if setting in ("endpoint", "base_url", "authority_host") or "endpoint" in setting:
        return NOWHERE
    if "uri" in setting:
        return f"{NOWHERE}/x" if "full" in setting else "/x"
    if "sas" in setting:
        return "sv=1&sig=2"
    if setting in ("region", "default_region", "account_name", "tenant_id"):
        return "name"
    return "5s" if "timeout" in setting else "aGk="


@pytest.mark.parametrize(
    ("url", "name", "setting"),
    [
        (url, name, setting)
        for url, names, skipped in (
            ("s3://b/t", s3.NAMES, s3._OURS - {"region", "endpoint", "default_region"}),
            ("gs://b/t", cloud.GCS_NAMES, {"api", "service_account", "service_account_key"}),
            ("az://c/t", cloud.AZURE_NAMES, set()),
        )
        for name, setting in sorted(names.items())
        if setting not in skipped - set(s3.CLIENT)
        and setting
        not in ("root_certificate", "application_credentials", "allow_invalid_certificates")
    ],
)
def test_every_option_that_is_passed_on_is_known_to_the_sdk(url, name, setting):
    given = {"account_name": "a"} if url.startswith("az") and setting != "account_name" else {}
    value = f"http://{NOWHERE[7:]}" if setting == "proxy_url" else value_for(setting)
    if setting == "web_identity_token_file":
        given["role_arn"] = "arn:aws:iam::1:role/r"
    if setting == "virtual_hosted_style_request":
        given["endpoint_url"] = "http://host"
    if url.startswith("gs") and setting not in ("bearer_token", "skip_signature"):
        given["bearer_token"] = "t"
    store = open_store(url, {**given, name: value})
    assert store.driver.requests is not None
    assert store.driver.uploads is not None
    with suppress(errors.UnsupportedByStore):  # by name, of what the other client cannot follow
        store.driver.second.check("k", IfAbsent())
        if setting != "skip_signature":
            store.driver.second.run(lambda bucket: bucket.endpoint())


# --- anything --------------------------------------------------------------------------------------

PIECES = [
    *"abz019.-_:/@?#%[]{}<>|\\^`\"'&=+,;~!$*() \t\n\x00\x7fäß€😀",
    "http://", "https://", "://", "127.0.0.1", "localhost", "[::1]", ":9", "xn--", "..", "%2f", SECRET,
]  # fmt: skip


def texts(seed, number):
    chosen = random.Random(seed)
    for _ in range(number):
        start = chosen.choice(["", "http://", "http://127.0.0.1", "https://h", "a"])
        yield start + "".join(chosen.choices(PIECES, k=chosen.randint(0, 8)))


FUZZED = [
    (
        "s3://bucket/t",
        S3,
        ("endpoint_url", "region", "key", "token", "sse_kms_key_id", "user_agent"),
    ),
    ("s3://bucket/t", {}, ("metadata_endpoint", "container_credentials_full_uri", "role_arn")),
    ("s3://bucket/t", {}, ("container_credentials_relative_uri",)),
    ("gs://bucket/t", GCS, ("endpoint_url", "bearer_token", "user_agent")),
    ("az://container/t", AZURE, ("endpoint_url", "account_name", "sas_token", "account_key")),
    ("az://container/t", {"account_name": "a"}, ("authority_host", "msi_endpoint", "tenant_id")),
    ("https://127.0.0.1:9/t", {}, ("headers", "token", "proxy_url")),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("url", "options", "names"), FUZZED)
def test_no_value_of_an_option_raises_anything_but_our_own_errors(url, options, names, seed):
    quick = {"timeout": 1, "connect_timeout": 1}
    if url.startswith("https"):
        quick["connect_timeout"] = 0.5
    elif "proxy_url" not in names:
        quick["proxy_url"] = NOWHERE
    for text in texts(seed, 25):
        for name in names:
            given = {**quick, **options, name: {"X": text} if name == "headers" else text}
            with pytest.raises(errors.AtomicManifestError):
                open_store(url, given).driver.get("k")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("scheme", "options"),
    [("s3", S3), ("gs", GCS), ("az", AZURE), ("http", {}), ("https", {}), ("file", {})],
)
def test_no_url_raises_anything_but_our_own_errors(scheme, options, seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = {} if scheme == "file" else {"timeout": 1, "connect_timeout": 1, "proxy_url": NOWHERE}
    for text in texts(seed, 60):
        with pytest.raises(errors.AtomicManifestError) as raised:
            open_store(f"{scheme}://{text}", {**quick, **options}).driver.get("k")
        if "@" in text:
            assert SECRET not in str(raised.value).partition("k: ")[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["s3", "gcs", "abfs"])
def test_no_root_of_a_filesystem_raises_anything_but_our_own_errors(kind):
    opened = {
        "s3": lambda: fsspec.filesystem("s3", key="k", secret="s", endpoint_url=NOWHERE),
        "gcs": lambda: fsspec.filesystem("gcs", token="anon", endpoint_url=NOWHERE),
        "abfs": lambda: fsspec.filesystem(
            "abfs", connection_string=f"BlobEndpoint={NOWHERE}/a;AccountName=a;AccountKey=aGk="
        ),
    }[kind]()
    for text in texts(7, 40):
        with suppress(errors.AtomicManifestError):
            open_store(text, filesystem=opened).driver.get("k")


def test_bad_endpoint_is_refused_for_asyncio_too():
    from atomic_manifest.store import open_async_store

    async def use():
        async with open_async_store("s3://b/t", {**S3, "endpoint_url": "localhost:9"}) as store:
            await store.get("k")

    with pytest.raises(errors.InvalidStorageOption, match="endpoint_url"):
        asyncio.run(use())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"ftp://u:{SECRET}@host/a?sig={SECRET}#{SECRET}", "ftp://host/a"),
        ("memory://a/b", "memory://a/b"),
        ("https://host:1/a@b", "https://host:1/a@b"),
    ],
)
def test_redacted_url_has_no_user_query_or_fragment(url, shown):
    assert addresses.redacted(url) == shown
