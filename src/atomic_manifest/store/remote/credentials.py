"""Credentials for S3, in the form that obstore asks for them.

The shared files of the AWS tools (`~/.aws/credentials`, `~/.aws/config`) know assumed roles, single
sign-on and external processes; botocore, which comes with s3fs, reads them. It is imported only when
such a file is there and no key was given, since that takes a fifth of a second. Instance and
container credentials are left to obstore, which fetches them itself.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from atomic_manifest.env import Env
from atomic_manifest.errors import InvalidStorageOption

_LIFE = timedelta(minutes=10)
"""How long refreshed credentials are good for at least: botocore renews them ten minutes early."""


class StaticKeys:
    """Keys that never change. Showing them shows nothing.

    Args:
        access_key_id: The key's public half.
        secret_access_key: Its secret half.
        session_token: Goes with temporary keys.
    """

    def __init__(
        self, access_key_id: str, secret_access_key: str, session_token: str | None = None
    ) -> None:
        self._given = {
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "token": session_token,
            "expires_at": None,
        }

    def __call__(self) -> Mapping[str, Any]:
        """Give the keys, as obstore asks for them."""
        return self._given


class RefreshedKeys:
    """Keys that botocore renews when they are about to expire.

    Args:
        credentials: botocore's credentials.
        env: The clock.
        renewable: Whether they can change.
    """

    def __init__(self, credentials: Any, env: Env, *, renewable: bool) -> None:
        self._credentials = credentials
        self._env = env
        self._renewable = renewable

    def __call__(self) -> Mapping[str, Any]:
        """Give the keys of now, as obstore asks for them."""
        keys = self._credentials.get_frozen_credentials()
        expiry = datetime.fromtimestamp(self._env.now(), UTC) + _LIFE
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": expiry if self._renewable else None,
        }


class SharedFiles:
    """The shared files of the AWS tools; not touched before something is asked of them.

    Args:
        profile: The profile's name; None for the one that is in force.
        files: botocore's names of the files, with their paths; empty for none.
        env: The clock.
    """

    def __init__(self, profile: str | None, files: Mapping[str, str], env: Env) -> None:
        self._profile = profile
        self._files = files
        self._env = env

    @classmethod
    def of(cls, found: Mapping[str, Any], env: Env) -> Self:
        """The files that `profile`, `shared_credentials_file` and `config_file` say."""
        files = {
            "credentials_file": found.get("shared_credentials_file", "~/.aws/credentials"),
            "config_file": found.get("config_file", "~/.aws/config"),
        }
        return cls(found.get("profile"), files, env)

    @classmethod
    def none(cls, env: Env) -> Self:
        """No files, so nothing is in them."""
        return cls(None, {}, env)

    @property
    def region(self) -> str | None:
        """The profile's region."""
        return self._setting("region")

    @property
    def endpoint(self) -> str | None:
        """The profile's `endpoint_url`, that of its `services` section for S3 first."""
        scoped = self._scoped
        if not scoped:
            return None
        services = self._session.full_config.get("services", {})
        special = services.get(scoped.get("services"), {}).get("s3", {})
        return special.get("endpoint_url") or self._setting("endpoint_url")

    def available(self) -> Callable[[], Mapping[str, Any]] | None:
        """The profile's credentials, if the files have any."""
        if self._session is None:
            return None
        from botocore.credentials import RefreshableCredentials  # noqa: PLC0415

        credentials = self._loaded()
        if credentials is None:
            return None
        renewable = isinstance(credentials, RefreshableCredentials)
        return RefreshedKeys(credentials, self._env, renewable=renewable)

    def required(self) -> Callable[[], Mapping[str, Any]]:
        """The profile's credentials.

        Raises:
            InvalidStorageOption: If there are none.
        """
        found = self.available()
        if found is None:
            raise self._unusable("has no credentials in the shared files")
        return found

    @cached_property
    def _session(self) -> Any:
        """The session of botocore, or None if there is no file to read."""
        if not any(Path(file).expanduser().exists() for file in self._files.values()):
            return None
        from botocore.session import Session  # noqa: PLC0415

        session = Session(profile=self._profile)
        for name, file in self._files.items():
            session.set_config_variable(name, str(Path(file).expanduser()))
        return session

    @cached_property
    def _scoped(self) -> Mapping[str, Any]:
        if self._session is None:
            return {}
        from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415

        try:
            scoped: Mapping[str, Any] = self._session.get_scoped_config()
        except ProfileNotFound as error:
            raise self._unusable("does not exist") from error
        except BotoCoreError as error:
            raise self._unusable("cannot be read") from error
        return scoped

    def _setting(self, name: str) -> str | None:
        value = self._scoped.get(name)
        return value if isinstance(value, str) else None

    def _loaded(self) -> Any:
        from botocore.exceptions import BotoCoreError, ProfileNotFound  # noqa: PLC0415

        try:
            resolver = self._session.get_component("credential_provider")
            for elsewhere in ("env", "container-role", "iam-role"):
                resolver.remove(elsewhere)
            return self._session.get_credentials()
        except ProfileNotFound as error:
            raise self._unusable("does not exist") from error
        except BotoCoreError as error:
            raise self._unusable("has credentials that cannot be loaded") from error

    def _unusable(self, what: str) -> InvalidStorageOption:
        return InvalidStorageOption(
            f"AWS profile {self._profile or 'default'!r} {what}", option="profile", path=""
        )
