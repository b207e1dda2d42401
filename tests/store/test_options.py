"""Storage options in the words of fsspec and of deltalake, the environment, and profiles."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.options.cloud import read_azure_options, read_gcs_options
from atomic_manifest.store.options.s3 import read_s3_options
from atomic_manifest.store.remote.credentials import RefreshedKeys
from atomic_manifest.testing import FakeEnv

SECRET = "sUpErSeCrEt"
KEYS = {"key": "AK", "secret": SECRET}


def read(options, environ=None, bucket="bucket"):
    return read_s3_options(options, bucket, environ=environ or {}, env=FakeEnv())


def keys(options):
    return options.credentials()["access_key_id"] if options.credentials else None


@pytest.mark.parametrize(
    "options",
    [
        {"key": "AK", "secret": SECRET, "token": "T", "endpoint_url": "http://h:1"},
        {
            "key": "AK",
            "secret": SECRET,
            "token": "T",
            "client_kwargs": {"endpoint_url": "http://h:1", "region_name": "r"},
            "use_ssl": False,
        },
        {
            "client_kwargs": {
                "aws_access_key_id": "AK",
                "aws_secret_access_key": SECRET,
                "aws_session_token": "T",
                "endpoint_url": "http://h:1/",
            },
            "config_kwargs": {"s3": {"addressing_style": "path"}, "signature_version": "s3v4"},
        },
        {
            "AWS_ACCESS_KEY_ID": "AK",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": "T",
            "AWS_ENDPOINT_URL": "http://h:1",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "r",
            "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
            "conditional_put": "etag",
            "AWS_CONDITIONAL_PUT": "etag",
        },
        {
            "aws_access_key_id": "AK",
            "aws_secret_access_key": SECRET,
            "aws_session_token": "T",
            "aws_endpoint": "http://h:1",
            "allow_http": True,
            "region": None,
        },
        {
            "access_key_id": "AK",
            "secret_access_key": SECRET,
            "session_token": "T",
            "endpoint": "http://h:1",
        },
    ],
)
def test_names_of_fsspec_and_of_deltalake_mean_the_same(options):
    found = read(options)
    assert found.credentials() == {
        "access_key_id": "AK",
        "secret_access_key": SECRET,
        "token": "T",
        "expires_at": None,
    }
    assert found.config["endpoint"] == "http://h:1"
    assert found.config["conditional_put"] == "etag"
    assert found.client["allow_http"] is True
    assert not found.config.get("virtual_hosted_style_request")


def test_environment_stands_in_for_options_as_a_whole_set_of_keys():
    environ = {
        "AWS_ACCESS_KEY_ID": "ENV",
        "AWS_SECRET_ACCESS_KEY": "env-secret",
        "AWS_SESSION_TOKEN": "env-token",
        "AWS_REGION": "env-region",
        "AWS_ENDPOINT_URL": "https://general",
        "AWS_ENDPOINT_URL_S3": "https://special",
        "AWS_PAGER": "unrelated",
    }
    found = read({}, environ)
    assert keys(found) == "ENV"
    assert found.credentials()["token"] == "env-token"
    assert (found.config["region"], found.config["endpoint"]) == ("env-region", "https://special")
    assert "allow_http" not in found.client

    given = read({**KEYS, "region": "r", "endpoint_url": "http://given"}, environ)
    assert given.credentials()["token"] is None
    assert (given.config["region"], given.config["endpoint"]) == ("r", "http://given")


def test_default_region_gives_way_to_region():
    assert read({"region": "a", "AWS_DEFAULT_REGION": "b"}).config["region"] == "a"
    assert read({"AWS_DEFAULT_REGION": "b"}).config["region"] == "b"


@pytest.mark.parametrize("name", ["anon", "anonymous", "skip_signature", "AWS_SKIP_SIGNATURE"])
def test_anonymous_access_asks_for_no_credentials(name):
    found = read({name: True}, {"AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"})
    assert found.config["skip_signature"] is True
    assert found.credentials is None


@pytest.mark.parametrize(
    "options",
    [
        {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
        {"config_kwargs": {"s3": {"addressing_style": "virtual"}}},
    ],
)
@pytest.mark.parametrize("endpoint", ["https://host", "https://bucket.host"])
def test_virtual_hosted_style_puts_the_bucket_into_the_endpoint_once(options, endpoint):
    found = read({**KEYS, **options, "endpoint_url": endpoint})
    assert found.config["endpoint"] == "https://bucket.host"
    assert found.config["virtual_hosted_style_request"] is True


def test_seconds_are_seconds():
    found = read({**KEYS, "timeout": 7, "connect_timeout": "0.5"})
    assert found.client == {"timeout": "7000ms", "connect_timeout": "500ms"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"endpont_url": "x"}, "endpont_url"),
        ({"AWS_S3_LOCKING_PROVIDER": "dynamodb"}, "AWS_S3_LOCKING_PROVIDER"),
        ({"client_kwargs": {"foo": 1}}, "foo"),
        ({"config_kwargs": {"max_pool_connections": 1}}, "config_kwargs['max_pool_connections']"),
        ({"key": "AK", "aws_access_key_id": "OTHER", "secret": "s"}, "aws_access_key_id"),
        ({"region": "a", "client_kwargs": {"region_name": "b"}}, "region_name"),
        ({"endpoint_url": "a", "client_kwargs": {"endpoint_url": "b"}}, "endpoint_url"),
        ({"key": "AK"}, "secret_access_key"),
        ({"secret": SECRET}, "access_key_id"),
        ({"allow_http": "perhaps"}, "allow_http"),
        ({"key": "AK", "secret": SECRET + "\n"}, "secret"),
        ({"profile": "nobody"}, "profile"),
        ({"client_kwargs": {"verify": "/no/such/file"}, **KEYS}, "ca_bundle"),
    ],
)
def test_option_that_cannot_be_honoured_is_refused_by_name(options, named):
    with pytest.raises(InvalidStorageOption) as raised:
        read(options)
    assert raised.value.option == named
    assert SECRET not in f"{raised.value!r} {raised.value.details}"


def test_secrets_are_not_shown():
    found = read({**KEYS, "token": "ToKeN"})
    shown = f"{found!r} {found.credentials!r}"
    assert SECRET not in shown
    assert "ToKeN" not in shown


# --- the files of the AWS tools


@pytest.fixture
def files(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.write_text(
        "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = d\n"
        "[work]\naws_access_key_id = WORK\naws_secret_access_key = w\naws_session_token = t\n"
    )
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = r-default\n"
        "[profile work]\nregion = r-work\nendpoint_url = https://work\n"
        "[profile special]\nservices = mine\nsource_profile = work\n"
        "[services mine]\ns3 =\n  endpoint_url = https://mine\n"
        "[profile bare]\nregion = x\n"
        f"[profile outside]\ncredential_process = {sys.executable} -c "
        '"print(\'{\\"Version\\": 1, \\"AccessKeyId\\": \\"OUT\\", \\"SecretAccessKey\\": '
        '\\"o\\"}\')"\n'
    )
    return {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": str(config)}


def test_profile_gives_keys_region_and_endpoint(files):
    found = read({"profile": "work"}, files)
    assert found.credentials() == {
        "access_key_id": "WORK",
        "secret_access_key": "w",
        "token": "t",
        "expires_at": None,
    }
    assert (found.config["region"], found.config["endpoint"]) == ("r-work", "https://work")


def test_default_profile_is_used_when_there_are_no_keys(files):
    assert keys(read({}, files)) == "DEFAULT"
    assert keys(read({}, {**files, "AWS_PROFILE": "work"})) == "WORK"
    assert keys(read({"profile": "work"}, {**files, "AWS_PROFILE": "default"})) == "WORK"


def test_profile_that_was_asked_for_wins_over_keys_of_the_environment(files):
    environ = {**files, "AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "s"}
    assert keys(read({"profile": "work"}, environ)) == "WORK"
    assert keys(read({}, {**environ, "AWS_PROFILE": "work"})) == "ENV"
    assert keys(read({**KEYS, "profile": "work"}, environ)) == "AK"


def test_profile_of_an_external_process_is_run(files):
    assert keys(read({"profile": "outside"}, files)) == "OUT"


@pytest.mark.parametrize("profile", ["nobody", "bare"])
def test_profile_without_credentials_is_refused(files, profile):
    with pytest.raises(InvalidStorageOption, match=profile):
        read({"profile": profile}, files)


def test_credentials_that_can_expire_are_asked_for_again():
    class Frozen:
        access_key, secret_key, token = "a", "b", "c"

    class Renewing:
        def get_frozen_credentials(self):
            return Frozen

    env = FakeEnv(start=1_000_000)
    given = RefreshedKeys(Renewing(), env, renewable=True)()
    assert given["expires_at"] == datetime.fromtimestamp(1_000_000, UTC) + timedelta(minutes=10)


def test_botocore_is_not_imported_for_keys_that_are_given(files):
    script = (
        "import os, sys\n"
        f"os.environ.update({files!r})\n"
        "from atomic_manifest.store import open_store\n"
        "open_store('s3://b', {'key': 'a', 'secret': 'b'})\n"
        "assert 'obstore' in sys.modules\n"
        "assert 'botocore' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- the other clouds


def test_gcs_names():
    assert read_gcs_options({"token": "anon"}).config == {"skip_signature": True}
    assert read_gcs_options({"token": "/a/key.json", "project": "p"}).config == {
        "service_account": "/a/key.json"
    }
    for name in ("GOOGLE_SERVICE_ACCOUNT", "google_service_account_path", "service_account"):
        assert read_gcs_options({name: "/k"}).config == {"service_account": "/k"}
    assert read_gcs_options({"token": "google_default"}).config == {}
    assert read_gcs_options({"endpoint_url": "http://h"}).client["allow_http"] is True
    for wrong in ({"tokn": "x"}, {"token": {"refresh_token": SECRET}}):
        with pytest.raises(InvalidStorageOption) as raised:
            read_gcs_options(wrong)
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"account_name": "a", "account_key": "c2VjcmV0"},
        {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0"},
        {"azure_storage_account_name": "a", "access_key": "c2VjcmV0"},
        {"connection_string": "AccountName=a;AccountKey=c2VjcmV0;QueueEndpoint=https://q"},
    ],
)
def test_azure_names(options):
    found = read_azure_options(options, None)
    assert found.config == {"account_name": "a", "account_key": "c2VjcmV0"}


def test_azure_connection_string_says_where_the_account_is():
    text = (
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;EndpointSuffix=core.example;"
    )
    assert read_azure_options({"connection_string": text}, None).config == {
        "account_name": "a",
        "account_key": "k==",
        "endpoint": "https://a.blob.core.example",
    }
    with pytest.raises(InvalidStorageOption, match="connection_string") as raised:
        read_azure_options({"connection_string": f"Nonsense={SECRET}"}, None)
    assert SECRET not in str(raised.value)


def test_azure_account_of_the_url_counts_unless_an_option_names_one():
    assert read_azure_options({"anon": True}, "url").config["account_name"] == "url"
    assert read_azure_options({"account_name": "o"}, "url").config["account_name"] == "o"
