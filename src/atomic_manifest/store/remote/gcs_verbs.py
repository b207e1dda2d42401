"""How the second client of a bucket of Google Cloud Storage is opened: `gcsfs`, which is an extra."""

import json
from typing import Any

from atomic_manifest.env import Env
from atomic_manifest.store.failures import Service
from atomic_manifest.store.filesystem.calls import Calls
from atomic_manifest.store.options.values import RemoteOptions
from atomic_manifest.store.remote.second_client import check_followed, not_installed, timeouts

_ONLY_FIRST = ("allow_invalid_certificates", "root_certificate", "proxy_url", "proxy_excludes")


def open_gcs_verbs(bucket: str, options: RemoteOptions, env: Env) -> Calls:
    """Open the second client of a bucket.

    Raises:
        UnsupportedByStore: If gcsfs is not installed, or an option means nothing to it.
    """
    try:
        from aiohttp import ClientTimeout  # noqa: PLC0415 - came with gcsfs
        from gcsfs import GCSFileSystem  # noqa: PLC0415 - an extra

        from atomic_manifest.store.filesystem.gcs_calls import GCSCalls  # noqa: PLC0415
    except ImportError as error:
        raise not_installed(Service.GCS, "gcs") from error
    check_followed(options, _ONLY_FIRST)
    endpoint: str | None = options.config.get("base_url")
    connect, read = timeouts(options.client)
    fs = GCSFileSystem(
        token=_token(options),
        endpoint_url=endpoint,
        requests_timeout=ClientTimeout(total=None, sock_connect=connect, sock_read=read),
        skip_instance_cache=True,
    )
    return GCSCalls(fs, bucket, env)


def _token(options: RemoteOptions) -> Any:
    """The credentials, as gcsfs takes them."""
    config = options.config
    if config.get("skip_signature"):
        return "anon"
    if "bearer_token" in config:
        from google.oauth2.credentials import Credentials  # noqa: PLC0415

        return Credentials(config["bearer_token"])  # type: ignore[no-untyped-call, unused-ignore]
    if "service_account_key" in config:
        return json.loads(config["service_account_key"])
    return (
        config.get("service_account") or config.get("application_credentials") or "google_default"
    )
