"""Storage options: the names of fsspec and of deltalake/object_store, made one vocabulary.

Invariants:

* An option is understood or refused by name (`InvalidStorageOption`), never dropped: a misspelt
  endpoint must not send data elsewhere. The few that change nothing here are listed as such.
* Names are compared in lower case. Two names for one setting may both be given only if they agree.
* What was passed in wins over the environment, which wins over profiles.
* Values are kept out of messages and representations: any of them may be a secret.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any

from atomic_manifest.errors import InvalidStorageOption
from atomic_manifest.store.addresses import PROXIES, name_fault, path_fault, url_fault

HARMLESS = frozenset(
    {
        "s3_allow_unsafe_rename",
        "conditional_put",
        "project",
        "use_listings_cache",
        "listings_expiry_time",
        "skip_instance_cache",
        "default_block_size",
        "default_cache_type",
        "default_fill_cache",
    }
)
"""Said by users of other libraries; what they ask for is how this one works anyway."""

CLIENT = {
    name: name
    for name in (
        "timeout",
        "connect_timeout",
        "read_timeout",
        "pool_idle_timeout",
        "allow_http",
        "allow_invalid_certificates",
        "root_certificate",
        "proxy_url",
        "proxy_excludes",
        "user_agent",
    )
}
"""Settings of the HTTP client, the same for every service."""

_DURATIONS = frozenset({"timeout", "connect_timeout", "read_timeout", "pool_idle_timeout"})
_FLAGS = frozenset(
    {
        "allow_http",
        "allow_invalid_certificates",
        "skip_signature",
        "virtual_hosted_style_request",
        "unsigned_payload",
        "request_payer",
        "imdsv1_fallback",
        "disable_tagging",
        "disable_bulk_delete",
        "sse_bucket_key_enabled",
        "etag_lists",
        "use_emulator",
        "use_azure_cli",
        "use_fabric_endpoint",
    }
)
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "requester": True}
_WORDS |= {"false": False, "0": False, "no": False, "off": False}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_DURATION = re.compile(r"\d+(\.\d+)?\s*(ms|s|m|h)")

_FAULTS: Mapping[str, Callable[[str], str | None]] = {
    **dict.fromkeys(
        ("endpoint", "base_url", "metadata_endpoint", "endpoint_url_sts", "authority_host"),
        url_fault,
    ),
    **dict.fromkeys(
        ("container_credentials_full_uri", "msi_endpoint"), partial(url_fault, query=True)
    ),
    "proxy_url": partial(url_fault, schemes=PROXIES, user=True),
    "container_credentials_relative_uri": path_fault,
    **dict.fromkeys(("region", "default_region", "account_name", "tenant_id"), name_fault),
}
"""Settings that become part of an address, with what tells why one cannot be."""

_CHOICES = {
    "server_side_encryption": ("AES256", "aws:kms", "aws:kms:dsse", "sse-c"),
    "checksum_algorithm": ("sha256", "SHA256", "crc64nvme", "CRC64NVME"),
    "api": ("xml", "json"),
    "etag_form": ("quoted", "bare"),
}
"""Settings with few values."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """What it takes to open a bucket.

    Attributes:
        config: Settings of the service, under obstore's names.
        client: Settings of the HTTP client, under obstore's names.
        credentials: Gives credentials when asked, in obstore's form; None leaves it to obstore.
        bare_etags: See `remote.terms.Dialect`.
        etag_lists: See `remote.terms.Dialect`.
        second_writes: See `remote.terms.Dialect`.
        ca_bundle: The file that `client["root_certificate"]` was read from, if it was one.
    """

    config: Mapping[str, Any] = field(repr=False)
    client: Mapping[str, Any] = field(repr=False)
    credentials: Callable[[], Any] | None = field(default=None, repr=False)
    bare_etags: bool = False
    etag_lists: bool = False
    second_writes: bool = False
    ca_bundle: str | None = None


def read_options(
    options: Mapping[str, Any],
    names: Mapping[str, str],
    *,
    prefixes: tuple[str, ...] = (),
    nested: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Bring options to one vocabulary.

    Args:
        options: As the user gave them; None values count as not given.
        names: Known name, in lower case and without prefix, to setting.
        prefixes: What a name may start with besides, such as `aws_`.
        nested: Names of options that were taken apart before, and may be meant by an unknown one.

    Returns:
        Setting to value: flags as bool, durations as text with a unit, the rest as text.

    Raises:
        InvalidStorageOption: If an option is not known, has a value it cannot have, or contradicts
            another.
    """
    found: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for option, value in options.items():
        bare = bare_name(option, prefixes)
        if value is None or bare in HARMLESS:
            continue
        setting = names.get(bare)
        if setting is None:
            meant = did_you_mean(option, bare, {*names, *HARMLESS, *nested})
            raise InvalidStorageOption(
                f"storage option {option!r} is not known{meant}", option=option, path=""
            )
        read = read_value(option, setting, value)
        if found.setdefault(setting, read) != read:
            raise InvalidStorageOption(
                f"storage options {said_by[setting]!r} and {option!r} contradict each other",
                option=option,
                path="",
            )
        said_by.setdefault(setting, option)
    return found


def read_environment(
    environ: Mapping[str, str],
    names: Mapping[str, str],
    prefix: str,
    *,
    without: Container[str] = (),
) -> dict[str, Any]:
    """The same from environment variables that start with `prefix`; foreign ones are left alone, and
    those of settings `without` need.
    """
    found: dict[str, Any] = {}
    for variable, value in _sorted(environ):
        bare = bare_name(variable, (prefix,))
        if not (variable.lower().startswith(prefix) and value and bare in names):
            continue
        if names[bare] not in without:
            found.setdefault(names[bare], read_value(variable, names[bare], value))
    return found


def _sorted(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The more special of two names first: `..._ENDPOINT_URL_S3` before `..._ENDPOINT_URL`."""
    yield from sorted(environ.items(), key=lambda item: (-len(item[0]), item[0]))


def did_you_mean(option: str, bare: str, known: Iterable[str]) -> str:
    """What to add to the message about an unknown option: the known name that is most like it, if one is.

    Args:
        option: As the user gave it.
        bare: The same without prefix; see `bare_name`.
        known: Bare names.
    """
    found = get_close_matches(bare, sorted(known), n=1, cutoff=0.7)
    if not found:
        return ""
    name = option[: len(option) - len(bare)] + (found[0].upper() if option.isupper() else found[0])
    return f"; did you mean {name!r}?"


def bare_name(option: str, prefixes: tuple[str, ...]) -> str:
    """An option's name in lower case, without the first of `prefixes` that it has."""
    name = option.lower()
    return next((name.removeprefix(p) for p in prefixes if name.startswith(p)), name)


def read_value(option: str, setting: str, value: Any) -> Any:
    """A value in the form that its setting takes.

    Raises:
        InvalidStorageOption: If it cannot have this value.
    """
    if setting in _FLAGS:
        word = str(value).lower()
        if word not in _WORDS:
            raise InvalidStorageOption(
                f"storage option {option!r} must be true or false", option=option, path=""
            )
        return _WORDS[word]
    text = str(value)
    wrong = None
    if setting in _DURATIONS:
        text = f"{round(float(text) * 1000)}ms" if _NUMBER.fullmatch(text) else text
        wrong = (
            None if _DURATION.fullmatch(text) else "must be seconds, or a number with ms, s, m or h"
        )
    elif setting == "root_certificate":
        if isinstance(value, bytes | str):
            return value
        wrong = "must be the bytes of certificates"
    elif not isinstance(value, str | int | float) or not text.isprintable():
        wrong = "must be printable text"
    elif setting in _CHOICES and text not in _CHOICES[setting]:
        wrong = f"must be {' or '.join(map(repr, _CHOICES[setting]))}"
    elif setting in _FAULTS:
        wrong = _FAULTS[setting](text)
    if wrong is not None:
        raise InvalidStorageOption(f"storage option {option!r} {wrong}", option=option, path="")
    return text


def client_settings(found: Mapping[str, Any], endpoint: str | None) -> dict[str, Any]:
    """The HTTP client's settings; plain HTTP is allowed where the endpoint asks for it."""
    client = {name: value for name, value in found.items() if name in CLIENT}
    if endpoint is not None and endpoint.startswith("http://"):
        client["allow_http"] = True
    return client
