"""Opens obstore's stores with this library's settings: no retries, short time-outs.

A store for multipart uploads is a second one, with retries and a longer time-out, since a part is
large and sending it again changes nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.failures import Service
from atomic_manifest.store.options import RemoteOptions
from atomic_manifest.store.remote import Backend, RemoteDriver

_REQUEST = {"timeout": "30s", "connect_timeout": "5s"}
_PART = {"timeout": "120s", "connect_timeout": "5s"}
_ONCE: Mapping[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(0)}
_AGAIN: Mapping[str, Any] = {"max_retries": 6, "retry_timeout": timedelta(seconds=120)}


def open_s3(bucket: str, options: RemoteOptions, *, url: str, prefix: str) -> RemoteDriver:
    """Open a bucket of S3, or of what speaks its language."""
    return _open(Service.S3, partial(S3Store, bucket), options, url=url, prefix=prefix)


def open_gcs(bucket: str, options: RemoteOptions, *, url: str, prefix: str) -> RemoteDriver:
    """Open a bucket of Google Cloud Storage."""
    return _open(Service.GCS, partial(GCSStore, bucket), options, url=url, prefix=prefix)


def open_azure(container: str, options: RemoteOptions, *, url: str, prefix: str) -> RemoteDriver:
    """Open a container of Azure Blob Storage."""
    return _open(Service.AZURE, partial(AzureStore, container), options, url=url, prefix=prefix)


def _open(
    service: Service,
    make: Callable[..., Backend],
    options: RemoteOptions,
    *,
    url: str,
    prefix: str,
) -> RemoteDriver:
    def backend(timeouts: Mapping[str, str], retry: Mapping[str, Any]) -> Backend:
        return make(
            config=dict(options.config),
            client_options={**timeouts, **options.client},
            retry_config=retry,
            credential_provider=options.credentials,
        )

    requests = None
    with suppress(BaseError, ValueError, TypeError):
        requests = backend(_REQUEST, _ONCE)
    if requests is not None:
        uploads = partial(backend, _PART, _AGAIN)
        return RemoteDriver(service, requests, uploads, url=url, prefix=prefix)
    # Not chained to the SDK's error, whose text can quote a value.
    raise InvalidStorageOption(
        f"{url}: the storage options do not make a valid configuration of {service.value}",
        option=", ".join(sorted({*options.config, *options.client})),
        path="",
    )
