"""Storage options of S3 and what speaks its language.

Names are those of s3fs (`key`, `secret`, `token`, `anon`, `client_kwargs`, ...), of
deltalake/object_store (`AWS_ACCESS_KEY_ID`, `aws_endpoint_url`, ...), and the bare ones (`region`).
Credentials come as a whole from one place, the first of: the options, a profile that was asked for,
`AWS_*` variables, the shared files of the AWS tools, and what obstore finds on the machine. So a
session token in the environment is never sent with a key from the options.

Two options are of this library: `etag_form` is `quoted` (default) or `bare`, for services that compare
the text of If-Match with the ETag without its quotes (OVHcloud); `etag_lists` says that the service
reads several ETags in one If-Match, which Amazon S3 does not.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from atomic_manifest.env import Env
from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.addresses import url_fault
from atomic_manifest.store.options.values import (
    CLIENT,
    RemoteOptions,
    bare_name,
    client_settings,
    read_environment,
    read_options,
    read_value,
)
from atomic_manifest.store.remote.credentials import SharedFiles, StaticKeys

S3_PREFIXES = ("aws_",)

_PASSED_ON = (
    "checksum_algorithm",
    "container_authorization_token_file",
    "container_credentials_full_uri",
    "container_credentials_relative_uri",
    "disable_bulk_delete",
    "disable_tagging",
    "imdsv1_fallback",
    "metadata_endpoint",
    "request_payer",
    "role_arn",
    "role_session_name",
    "server_side_encryption",
    "skip_signature",
    "sse_bucket_key_enabled",
    "sse_customer_key_base64",
    "sse_kms_key_id",
    "unsigned_payload",
    "virtual_hosted_style_request",
    "web_identity_token_file",
)
NESTED = ("client_kwargs", "config_kwargs", "s3_additional_kwargs", "use_ssl")
"""Options of s3fs that hold others, or turn one round."""

NAMES = (
    CLIENT
    | {name: name for name in _PASSED_ON}
    | {
        "key": "access_key_id",
        "access_key_id": "access_key_id",
        "secret": "secret_access_key",
        "secret_access_key": "secret_access_key",
        "token": "session_token",
        "session_token": "session_token",
        "endpoint": "endpoint",
        "endpoint_url": "endpoint",
        "endpoint_url_s3": "endpoint",
        "region": "region",
        "region_name": "region",
        "default_region": "default_region",
        "anon": "skip_signature",
        "anonymous": "skip_signature",
        "requester_pays": "request_payer",
        "sts_endpoint": "endpoint_url_sts",
        "endpoint_url_sts": "endpoint_url_sts",
        "profile": "profile",
        "profile_name": "profile",
        "shared_credentials_file": "shared_credentials_file",
        "config_file": "config_file",
        "ca_bundle": "root_certificate_file",
        "etag_form": "etag_form",
        "etag_lists": "etag_lists",
        "serversideencryption": "server_side_encryption",
        "ssekmskeyid": "sse_kms_key_id",
        "bucketkeyenabled": "sse_bucket_key_enabled",
        "requestpayer": "request_payer",
    }
)
_AMAZON = "https://s3.amazonaws.com"
_CREDENTIALS = ("access_key_id", "secret_access_key", "session_token")
_OURS = {*_CREDENTIALS, *CLIENT, "profile", "shared_credentials_file", "config_file"}
_OURS |= {"root_certificate_file", "default_region", "region", "endpoint"}
_OURS |= {"etag_form", "etag_lists"}


def read_s3_options(
    options: Mapping[str, Any], bucket: str, *, environ: Mapping[str, str], env: Env
) -> RemoteOptions:
    """Settings of a bucket from storage options and environment.

    Args:
        options: As the user gave them.
        bucket: The bucket's name.
        environ: The environment variables.
        env: Clock for the refreshing of credentials.

    Raises:
        InvalidStorageOption: See `options.values.read_options`; also for half a key, or a profile that does
            not exist or has no credentials.
    """
    given = read_options(_flattened(options), NAMES, prefixes=S3_PREFIXES, nested=NESTED)
    ambient = read_environment(environ, NAMES, "aws_", without=given)
    found = ambient | given
    credentials, files = _credentials(given, ambient, env)
    region = found.get("region") or found.get("default_region") or files.region
    endpoint = found.get("endpoint") or files.endpoint
    config = {name: value for name, value in found.items() if name not in _OURS}
    config |= {"conditional_put": "etag"}
    if region:
        config["region"] = read_value("region", "region", region)
    if endpoint:
        config["endpoint"] = read_value("endpoint_url", "endpoint", endpoint).rstrip("/")
    if found.get("virtual_hosted_style_request"):
        hosted = _with_bucket(config.get("endpoint", _AMAZON), bucket)
        if endpoint:
            config["endpoint"] = hosted
    client = client_settings(found, endpoint)
    if "root_certificate_file" in found:
        client["root_certificate"] = _read_certificate(found["root_certificate_file"])
    return RemoteOptions(
        config,
        client,
        credentials,
        bare_etags=found.get("etag_form") == "bare",
        etag_lists=bool(found.get("etag_lists")),
        ca_bundle=found.get("root_certificate_file"),
    )


def _credentials(
    given: Mapping[str, Any], ambient: Mapping[str, Any], env: Env
) -> tuple[Callable[[], Any] | None, SharedFiles]:
    """The credentials, and the shared files if they are to be asked for more."""
    found = {**ambient, **given}
    nowhere = SharedFiles.none(env)
    if _has_key(given):
        return _static(given), nowhere
    if found.get("skip_signature"):
        return None, nowhere
    files = SharedFiles.of(found, env)
    if "profile" in given:
        return files.required(), files
    if _has_key(ambient):
        return _static(ambient), nowhere
    return files.available(), files


def _has_key(found: Mapping[str, Any]) -> bool:
    return any(name in found for name in _CREDENTIALS)


def _static(found: Mapping[str, Any]) -> StaticKeys:
    for name in ("access_key_id", "secret_access_key"):
        if name not in found:
            raise InvalidStorageOption(
                f"credentials without {name}: it must come from the same place",
                option=name,
                path="",
            )
    return StaticKeys(
        found["access_key_id"], found["secret_access_key"], found.get("session_token")
    )


def _with_bucket(endpoint: str, bucket: str) -> str:
    """An endpoint whose host names the bucket, as obstore wants it for virtual-hosted style.

    Raises:
        InvalidStorageOption: If no host can have this name.
    """
    scheme, _, host = endpoint.rpartition("://")
    hosted = endpoint if host.startswith(f"{bucket}.") else f"{scheme}://{bucket}.{host}"
    if url_fault(hosted) is not None:
        raise InvalidStorageOption(
            "storage option 'virtual_hosted_style_request' puts the bucket's name before the endpoint's"
            " host, which this name and this endpoint do not allow",
            option="virtual_hosted_style_request",
            path="",
        )
    return hosted


def _flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without the nested ones of s3fs: `client_kwargs`, `config_kwargs`, `use_ssl`."""
    flat: dict[str, Any] = {}
    for option, value in options.items():
        match bare_name(option, ()):
            case "client_kwargs":
                _merge(flat, _client_kwargs(value or {}))
            case "config_kwargs":
                _merge(flat, _config_kwargs(value or {}))
            case "s3_additional_kwargs":
                _merge(flat, _request_kwargs(value or {}))
            case "use_ssl":
                _merge(flat, {"allow_http": not value})
            case _:
                _merge(flat, {option: value})
    return flat


def _merge(flat: dict[str, Any], more: Mapping[str, Any]) -> None:
    for option, value in more.items():
        if flat.setdefault(option, value) != value:
            raise InvalidStorageOption(
                f"storage option {option!r} is given twice, with different values",
                option=option,
                path="",
            )


def _client_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for option, value in given.items():
        if option == "use_ssl":
            flat["allow_http"] = not value
        elif option == "verify" and isinstance(value, bool):
            flat["allow_invalid_certificates"] = not value
        elif option == "verify":
            flat["ca_bundle"] = value
        else:
            flat[option] = value
    return flat


def _request_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    """What s3fs sends with its requests: encryption, and who pays. A key of the customer's is bytes,
    which s3fs encodes itself.
    """
    flat = dict(given)
    if flat.pop("SSECustomerAlgorithm", "AES256") != "AES256":
        raise InvalidStorageOption(
            "storage option 'SSECustomerAlgorithm' must be 'AES256'",
            option="SSECustomerAlgorithm",
            path="",
        )
    key = flat.pop("SSECustomerKey", None)
    if key is not None:
        raw = key.encode() if isinstance(key, str) else key
        flat["sse_customer_key_base64"] = base64.b64encode(raw).decode()
        flat["server_side_encryption"] = "sse-c"
    return flat


def _config_kwargs(given: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for option, value in given.items():
        if option == "signature_version" and value in ("s3v4", "v4"):
            continue
        if option == "s3" and set(value) == {"addressing_style"}:
            style = value["addressing_style"]
            if style != "auto":
                flat["virtual_hosted_style_request"] = style == "virtual"
        elif option in ("connect_timeout", "read_timeout"):
            flat[option] = value
        else:
            name = f"config_kwargs[{option!r}]"
            raise InvalidStorageOption(
                f"storage option {name} is not supported", option=name, path=""
            )
    return flat


def _read_certificate(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123
            return opened.read()
    except OSError as error:
        raise InvalidStorageOption(
            f"the certificates of storage option 'ca_bundle' cannot be read: {error.strerror}",
            option="ca_bundle",
            path="",
        ) from error
