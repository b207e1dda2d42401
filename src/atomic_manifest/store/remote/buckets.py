"""Opens obstore's stores with this library's settings: no retries, short time-outs.

A store for multipart uploads is a second one, with retries and a longer time-out, since a part is
large and sending it again changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store

from atomic_manifest.env import SYSTEM, Env
from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.failures import Failure, Service
from atomic_manifest.store.keys import is_directory_bucket
from atomic_manifest.store.options.values import RemoteOptions
from atomic_manifest.store.remote.driver import Backend, RemoteDriver
from atomic_manifest.store.remote.sdk import tried
from atomic_manifest.store.remote.terms import Dialect

if TYPE_CHECKING:
    from atomic_manifest.store.filesystem.calls import Calls

_REQUEST = {"timeout": "30s", "connect_timeout": "5s"}
_PART = {"timeout": "120s", "connect_timeout": "5s"}
_ONCE: Mapping[str, Any] = {"max_retries": 0, "retry_timeout": timedelta(0)}
_AGAIN: Mapping[str, Any] = {"max_retries": 6, "retry_timeout": timedelta(seconds=120)}


def open_s3(bucket: str, options: RemoteOptions, *, url: str, prefix: str) -> RemoteDriver:
    """Open a bucket of S3, or of what speaks its language."""
    dialect = Dialect(
        Service.S3,
        bare_etags=options.bare_etags,
        etag_lists=options.etag_lists,
        version_tags=not _is_amazon(options),
        customer_key="sse_customer_key_base64" in options.config,
    )

    if is_directory_bucket(bucket) and "endpoint" not in options.config:
        options = replace(options, config={"s3_express": "true", **options.config})

    def second() -> "Calls":
        from atomic_manifest.store.remote.s3_verbs import open_s3_verbs  # noqa: PLC0415 - loads an SDK

        return open_s3_verbs(bucket, options, dialect)

    return _open(dialect, partial(S3Store, bucket), options, second, url=url, prefix=prefix)


def open_gcs(
    bucket: str, options: RemoteOptions, *, url: str, prefix: str, env: Env = SYSTEM
) -> RemoteDriver:
    """Open a bucket of Google Cloud Storage."""

    def second() -> "Calls":
        from atomic_manifest.store.remote.gcs_verbs import open_gcs_verbs  # noqa: PLC0415 - loads an SDK

        return open_gcs_verbs(bucket, options, env)

    dialect = Dialect(Service.GCS, version_tags=True, second_writes=options.second_writes)
    return _open(dialect, partial(GCSStore, bucket), options, second, url=url, prefix=prefix)


def open_azure(
    container: str, options: RemoteOptions, *, url: str, prefix: str, env: Env = SYSTEM
) -> RemoteDriver:
    """Open a container of Azure Blob Storage."""

    def second() -> "Calls":
        from atomic_manifest.store.remote.azure_verbs import open_azure_verbs  # noqa: PLC0415 - an SDK

        return open_azure_verbs(container, options, env)

    dialect = Dialect(Service.AZURE)
    return _open(dialect, partial(AzureStore, container), options, second, url=url, prefix=prefix)


def _is_amazon(options: RemoteOptions) -> bool:
    endpoint = urlsplit(options.config.get("endpoint") or "https://s3.amazonaws.com")
    return (endpoint.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _open(
    dialect: Dialect,
    make: Callable[..., Backend],
    options: RemoteOptions,
    second: "Callable[[], Calls]",
    *,
    url: str,
    prefix: str,
) -> RemoteDriver:
    def backend(timeouts: Mapping[str, str], retry: Mapping[str, Any]) -> Backend:
        return _made(make, options, timeouts, retry)

    requests = tried(partial(backend, _REQUEST, _ONCE))
    if not isinstance(requests, Failure):
        uploads = partial(backend, _PART, _AGAIN)
        return RemoteDriver(dialect, requests, uploads, second, url=url, prefix=prefix)
    # Without the SDK's text, which can quote a value.
    wrong = ", ".join(sorted(_refused(make, options)))
    raise InvalidStorageOption(
        f"{url}: {dialect.service.value} cannot be opened with the value of {wrong}",
        option=wrong,
        path="",
    )


def _made(
    make: Callable[..., Backend],
    options: RemoteOptions,
    timeouts: Mapping[str, str],
    retry: Mapping[str, Any],
) -> Backend:
    return make(
        config=dict(options.config),
        client_options={**timeouts, **options.client},
        retry_config=retry,
        credential_provider=options.credentials,
    )


def _refused(make: Callable[..., Backend], options: RemoteOptions) -> set[str]:
    """The settings without one of which the SDK opens; all, if there is no such one."""

    def opens_without(name: str) -> bool:
        config = {known: value for known, value in options.config.items() if known != name}
        client = {known: value for known, value in options.client.items() if known != name}
        others = replace(options, config=config, client=client)
        return not isinstance(tried(partial(_made, make, others, _REQUEST, _ONCE)), Failure)

    given = {*options.config, *options.client}
    return {name for name in given if opens_without(name)} or given
