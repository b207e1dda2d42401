"""Storage options of Google Cloud Storage and Azure Blob Storage.

Names are those of gcsfs and adlfs, and of deltalake/object_store with or without their prefixes
(`GOOGLE_`, `AZURE_STORAGE_`, `AZURE_`). Environment variables are read by obstore itself, except
those that say where to send requests: they are checked as options are.

One option is of this library: with `gcs_api` set to `json` (default `xml`), objects of Google Cloud
Storage are written by its JSON API, through gcsfs, as emulators such as fake-gcs-server need it.
Anonymous writes go there too.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.options.values import (
    CLIENT,
    RemoteOptions,
    bare_name,
    client_settings,
    read_environment,
    read_options,
    read_value,
)

_NONE: Mapping[str, str] = MappingProxyType({})
GCS_PREFIXES = ("google_", "gcs_")
AZURE_PREFIXES = ("azure_storage_", "azure_")
GCS_NAMES = CLIENT | {
    "service_account": "service_account",
    "service_account_path": "service_account",
    "service_account_key": "service_account_key",
    "application_credentials": "application_credentials",
    "bearer_token": "bearer_token",
    "endpoint_url": "base_url",
    "base_url": "base_url",
    "api": "api",
    "anon": "skip_signature",
    "anonymous": "skip_signature",
    "skip_signature": "skip_signature",
}
AZURE_NAMES = (
    CLIENT
    | {
        name: name
        for name in (
            "account_name",
            "account_key",
            "authority_host",
            "client_id",
            "client_secret",
            "endpoint",
            "federated_token_file",
            "msi_endpoint",
            "msi_resource_id",
            "object_id",
            "sas_key",
            "skip_signature",
            "tenant_id",
            "token",
            "use_azure_cli",
            "use_emulator",
            "use_fabric_endpoint",
        )
    }
    | {
        "access_key": "account_key",
        "master_key": "account_key",
        "authority_id": "tenant_id",
        "sas_token": "sas_key",
        "bearer_token": "token",
        "account_host": "endpoint",
        "endpoint_url": "endpoint",
        "anon": "skip_signature",
        "anonymous": "skip_signature",
    }
)
_AZURE_PLACES = {
    "endpoint": "endpoint",
    "account_name": "account_name",
    "authority_host": "authority_host",
    "authority_id": "tenant_id",
    "tenant_id": "tenant_id",
    "msi_endpoint": "msi_endpoint",
    "identity_endpoint": "msi_endpoint",
}
"""What of the environment becomes part of an address."""
_CONNECTION_NAMES = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_token",
    "blobendpoint": "endpoint",
    "usedevelopmentstorage": "use_emulator",
}
_CONNECTION_IGNORED = {
    "queueendpoint",
    "tableendpoint",
    "fileendpoint",
}


def read_gcs_options(
    options: Mapping[str, Any], *, environ: Mapping[str, str] = _NONE
) -> RemoteOptions:
    """Settings of a Google Cloud Storage bucket.

    Args:
        options: As the user gave them.
        environ: The environment variables.

    Raises:
        InvalidStorageOption: See `options.values.read_options`.
    """
    flat = dict(options)
    token = flat.pop("token", None)
    if token == "anon":  # noqa: S105 - a word of gcsfs, not a secret
        flat["anon"] = True
    elif isinstance(token, str) and token not in ("google_default", "cloud", "cache"):
        flat["service_account"] = token
    elif token is not None and not isinstance(token, str):
        raise InvalidStorageOption(
            "storage option 'token' must be the path of a service account's file, or 'anon'",
            option="token",
            path="",
        )
    found = read_options(flat, GCS_NAMES, prefixes=GCS_PREFIXES, nested=("token",))
    found |= read_environment(environ, {"base_url": "base_url"}, "google_", without=found)
    api = found.pop("api", "xml")
    config = {name: value for name, value in found.items() if name not in CLIENT}
    client = client_settings(found, found.get("base_url"))
    # obstore would ask for credentials to write, anonymous or not.
    second_writes = api == "json" or bool(config.get("skip_signature"))
    return RemoteOptions(config, client, second_writes=second_writes)


def read_azure_options(
    options: Mapping[str, Any], account: str | None, *, environ: Mapping[str, str] = _NONE
) -> RemoteOptions:
    """Settings of an Azure container.

    Args:
        options: As the user gave them.
        account: The storage account that the URL names, if it does.
        environ: The environment variables.

    Raises:
        InvalidStorageOption: See `options.values.read_options`; also for a connection string that is none.
    """
    flat: dict[str, Any] = {}
    for option, value in options.items():
        if bare_name(option, AZURE_PREFIXES) == "connection_string":
            flat |= _connection(option, str(value))
    for option, value in options.items():
        match bare_name(option, AZURE_PREFIXES):
            case "connection_string":
                pass
            case "account_host" if isinstance(value, str) and "://" not in value:
                flat[option] = f"https://{value}"  # adlfs has it without
            case _:
                flat[option] = value
    found = read_options(flat, AZURE_NAMES, prefixes=AZURE_PREFIXES, nested=("connection_string",))
    if account is not None:
        found.setdefault("account_name", read_value("account_name", "account_name", account))
    for prefix in AZURE_PREFIXES:
        found |= read_environment(environ, _AZURE_PLACES, prefix, without=found)
    config = {name: value for name, value in found.items() if name not in CLIENT}
    return RemoteOptions(config, client_settings(found, found.get("endpoint")))


def _connection(option: str, text: str) -> dict[str, str]:
    """The options that a connection string holds."""
    found = {}
    suffix, protocol = "", "https"
    for part in filter(None, text.split(";")):
        name, equals, value = part.partition("=")
        key = name.strip().lower()
        if key == "defaultendpointsprotocol":
            protocol = value
        elif key == "endpointsuffix":
            suffix = value
        elif key in _CONNECTION_NAMES and equals:
            found[_CONNECTION_NAMES[key]] = value
        elif key not in _CONNECTION_IGNORED:
            raise InvalidStorageOption(
                f"storage option {option!r} is no connection string of Azure",
                option=option,
                path="",
            )
    if suffix and "endpoint" not in found and "account_name" in found:
        found["endpoint"] = f"{protocol}://{found['account_name']}.blob.{suffix}"
    return found
