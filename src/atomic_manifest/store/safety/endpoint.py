"""Which service a driver talks to, and what is known of it without asking.

A driver of somebody else's may say so itself: `capabilities` (a `Capabilities`) if it needs no probe,
`endpoint` (text without secrets) if several of it talk to one service.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from atomic_manifest.store.capabilities import UNTESTED, Capabilities, all_safe
from atomic_manifest.store.driver import Driver
from atomic_manifest.store.local import LocalDriver
from atomic_manifest.store.memory import MemoryDriver

if TYPE_CHECKING:
    from atomic_manifest.store.remote.raw import Raw

_PROVIDERS = {"S3": "Amazon S3"}


def unwrapped(driver: Driver) -> Driver:
    """The driver inside drivers that only watch or disturb another one, their `inner`."""
    while (inner := getattr(driver, "inner", None)) is not None:
        driver = inner
    return driver


def raw_of(driver: Driver) -> "Raw | None":
    """The bucket behind a driver for requests of another kind, if it is a bucket."""
    raw = getattr(unwrapped(driver), "raw", None)
    found: Raw | None = None if raw is None else raw()
    return found


def has_endpoint(driver: Driver) -> bool:
    """Whether all drivers with the same `endpoint_of` talk to one service."""
    innermost = unwrapped(driver)
    return raw_of(driver) is not None or getattr(innermost, "endpoint", None) is not None


def endpoint_of(driver: Driver) -> str:
    """The name of the service behind a driver."""
    innermost = unwrapped(driver)
    raw = raw_of(driver)
    if raw is not None:
        service = raw.service.value
        own = _PROVIDERS.get(service, service)
        return raw.endpoint or (f"{own} (directory bucket)" if raw.is_directory_bucket else own)
    if isinstance(innermost, MemoryDriver | LocalDriver):
        return "this process's memory" if isinstance(innermost, MemoryDriver) else "a file system"
    return str(getattr(innermost, "endpoint", None) or driver.url)


def known_capabilities(driver: Driver) -> Capabilities | None:
    """What is known of a driver's service; None if it takes a probe to know.

    Known are memory, local files, and the providers' own services: Amazon S3, Google Cloud Storage
    and Azure Blob Storage, each at no endpoint but its own. Amazon's directory buckets follow other rules.
    """
    innermost = unwrapped(driver)
    declared = getattr(innermost, "capabilities", None)
    if isinstance(declared, Capabilities):
        return declared
    endpoint = endpoint_of(driver)
    if isinstance(innermost, MemoryDriver | LocalDriver):
        return all_safe(endpoint, "known")
    raw = raw_of(driver)
    if raw is None or raw.endpoint is not None or raw.is_directory_bucket:
        return None
    documented = all_safe(endpoint, "known")
    return replace(
        documented,
        put_if_match_any=UNTESTED,
        upload_if_match_any=UNTESTED,
        copy_if_match_any=UNTESTED,
        list_order=UNTESTED if raw.service.name == "AZURE" else documented.list_order,
    )
