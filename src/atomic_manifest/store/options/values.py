"""Storage options: the names of fsspec and of deltalake/object_store, made one vocabulary.

Invariants:

* An option is understood or refused by name (`InvalidStorageOption`), never dropped: a misspelt
  endpoint must not send data elsewhere. The few that change nothing here are listed as such.
* Names are compared in lower case. Two names for one setting may both be given only if they agree.
* What was passed in wins over the environment, which wins over profiles.
* Values are kept out of messages and representations: any of them may be a secret.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from atomic_manifest.errors import InvalidStorageOption

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
) -> dict[str, Any]:
    """Bring options to one vocabulary.

    Args:
        options: As the user gave them; None values count as not given.
        names: Known name, in lower case and without prefix, to setting.
        prefixes: What a name may start with besides, such as `aws_`.

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
            raise InvalidStorageOption(
                f"storage option {option!r} is not known", option=option, path=""
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
    environ: Mapping[str, str], names: Mapping[str, str], prefix: str
) -> dict[str, Any]:
    """The same from environment variables that start with `prefix`; foreign ones are left alone."""
    found: dict[str, Any] = {}
    for variable, value in _sorted(environ):
        bare = bare_name(variable, (prefix,))
        if variable.lower().startswith(prefix) and value and bare in names:
            found.setdefault(names[bare], read_value(variable, names[bare], value))
    return found


def _sorted(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The more special of two names first: `..._ENDPOINT_URL_S3` before `..._ENDPOINT_URL`."""
    yield from sorted(environ.items(), key=lambda item: (-len(item[0]), item[0]))


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
    if setting in _DURATIONS:
        return f"{round(float(text) * 1000)}ms" if _NUMBER.fullmatch(text) else text
    if not isinstance(value, str | int | float) or not text.isprintable():
        if setting == "root_certificate":
            return value
        raise InvalidStorageOption(
            f"storage option {option!r} must be printable text", option=option, path=""
        )
    return text


def client_settings(found: Mapping[str, Any], endpoint: str | None) -> dict[str, Any]:
    """The HTTP client's settings; plain HTTP is allowed where the endpoint asks for it."""
    client = {name: value for name, value in found.items() if name in CLIENT}
    if endpoint is not None and endpoint.startswith("http://"):
        client["allow_http"] = True
    return client
