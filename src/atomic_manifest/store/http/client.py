"""One HTTP request, sent once, over kept connections.

Of what is installed anyway, urllib3 is the one that blocks, never sends a request again by itself
(`retries=False`; aiohttp and requests' adapters do), sees that a kept connection was closed before
using it, checks certificates, and tells an answer that broke off from a whole one. The standard
library's `http.client` does the first alone.

Invariants: redirects are not followed; nothing is decoded, so that bytes are those the ETag is of;
neither URLs nor headers get into errors.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import IO, Any

import urllib3
from urllib3.exceptions import HTTPError

from atomic_manifest.store.answers import CallFailed
from atomic_manifest.store.conditions import ETag
from atomic_manifest.store.driver import Data

_CONNECTIONS = 32
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response.

    Attributes:
        status: The HTTP status.
        headers: Names are found in any case.
        body: Its bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> ETag | None:
        """The ETag header."""
        text = self.headers.get("ETag", "").strip()
        return ETag.parse(text) if text else None

    @property
    def failed(self) -> CallFailed:
        """The answer as a failure."""
        return CallFailed(self.status, etag=self.etag, retry_after=self._retry_after)

    @property
    def _retry_after(self) -> float | None:
        """RFC 9110 §10.2.3; a date counts from the answer's own."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
            return max((until - parsedate_to_datetime(self.headers["Date"])).total_seconds(), 0.0)
        except (ValueError, TypeError, KeyError):
            return None


class HttpClient:
    """Sends requests to one server. Safe to share between threads.

    Args:
        headers: To send with every request.
        timeout: Seconds to wait for each part of an answer.
        connect_timeout: Seconds to wait for a connection.
        ca_bundle: A file of certificates to trust instead of the system's.
        proxy_url: Of an HTTP proxy.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        *,
        timeout: float,
        connect_timeout: float,
        ca_bundle: str | None = None,
        proxy_url: str | None = None,
    ) -> None:
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._proxy_url = proxy_url
        self._settings: dict[str, Any] = {
            "maxsize": _CONNECTIONS,
            "timeout": urllib3.Timeout(connect=connect_timeout, read=timeout),
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": ca_bundle,
            "retries": False,
            "blocksize": _BLOCK,
        }
        self._opened: tuple[int, urllib3.PoolManager] | None = None

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Data | IO[bytes] | None = None,
    ) -> Answer:
        """Send a request once.

        Raises:
            CallFailed: With no status, if there is no whole answer.
        """
        try:
            response = self._pool().request(
                method,
                url,
                body=body,  # type: ignore[arg-type]  # it takes any buffer
                headers={**self._headers, **(headers or {})},
                redirect=False,
                decode_content=False,
            )
        except (HTTPError, OSError) as error:
            failure = CallFailed(None, _why(error))
        else:
            return Answer(response.status, response.headers, response.data)
        # Outside the handler, so that no URL is part of the traceback.
        raise failure

    def _pool(self) -> urllib3.PoolManager:
        """Connections of this process: a forked one must not write to its parent's."""
        process = os.getpid()
        if self._opened is None or self._opened[0] != process:
            proxy, settings = self._proxy_url, self._settings
            opened = (
                urllib3.PoolManager(**settings)
                if proxy is None
                else urllib3.ProxyManager(proxy, **settings)
            )
            self._opened = (process, opened)
        return self._opened[1]


def _why(error: Exception) -> str:
    """Safe words for a request that was not answered."""
    name = type(error).__name__
    for part, words in _WORDS.items():
        if part in name:
            return words
    return "no whole answer"


_WORDS = {
    "Timeout": "no answer in time",
    "NameResolution": "no address for its host",
    "NewConnection": "no connection",
    "SSL": "no certificate that is trusted",
    "Proxy": "no connection by the proxy",
    "IncompleteRead": "an answer that broke off",
}
