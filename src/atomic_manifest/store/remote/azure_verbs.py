"""How the second client of an Azure container is opened: `adlfs`, which is an extra."""

from collections.abc import Mapping
from typing import Any

from atomic_manifest.env import Env
from atomic_manifest.store.failures import Service
from atomic_manifest.store.filesystem.calls import Calls
from atomic_manifest.store.options.values import RemoteOptions
from atomic_manifest.store.remote.second_client import check_followed, not_installed, timeouts

_PASSED_ON = ("account_name", "client_id", "client_secret", "tenant_id")
_ONLY_FIRST = (
    "authority_host",
    "token",
    "use_azure_cli",
    "federated_token_file",
    "use_fabric_endpoint",
    "allow_invalid_certificates",
    "root_certificate",
    "proxy_url",
    "proxy_excludes",
)
_EMULATOR = "http://127.0.0.1:10000/devstoreaccount1"


def open_azure_verbs(container: str, options: RemoteOptions, env: Env) -> Calls:
    """Open the second client of a container.

    Raises:
        UnsupportedByStore: If adlfs is not installed, or an option means nothing to it.
    """
    try:
        from adlfs import AzureBlobFileSystem  # noqa: PLC0415 - an extra

        from atomic_manifest.store.filesystem.azure_calls import AzureCalls  # noqa: PLC0415
    except ImportError as error:
        raise not_installed(Service.AZURE, "azure") from error
    check_followed(options, _ONLY_FIRST)
    connect, read = timeouts(options.client)
    fs = AzureBlobFileSystem(
        **_settings(options.config),
        connection_timeout=connect,
        read_timeout=read,
        skip_instance_cache=True,
    )
    return AzureCalls(fs, container, env)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, under the names of adlfs."""
    endpoint = config.get("endpoint")
    if config.get("use_emulator"):
        endpoint = endpoint or _EMULATOR
    if endpoint is not None and ("account_key" in config or "sas_key" in config):
        return {"connection_string": _connection(str(endpoint), config)}
    settings = {name: config[name] for name in _PASSED_ON if name in config}
    if "account_key" in config:
        settings["account_key"] = config["account_key"]
    if "sas_key" in config:
        settings["sas_token"] = config["sas_key"]
    if endpoint is not None:
        settings["account_host"] = str(endpoint).partition("://")[2].rstrip("/")
    if config.get("skip_signature"):
        settings["anon"] = True
    return settings


def _connection(endpoint: str, config: Mapping[str, Any]) -> str:
    """A connection string: what else adlfs has no word for an endpoint with a path in."""
    parts = {
        "DefaultEndpointsProtocol": endpoint.partition("://")[0],
        "AccountName": config.get("account_name"),
        "AccountKey": config.get("account_key"),
        "SharedAccessSignature": config.get("sas_key"),
        "BlobEndpoint": endpoint,
    }
    return ";".join(f"{name}={value}" for name, value in parts.items() if value)
