"""A driver that nothing is known of, for tests of what is found out and remembered."""

from typing import Any

_SHOWN = {"get", "head", "put", "start_upload", "copy", "delete", "delete_many", "list"}


class Foreign:
    """Does what `driver` does, at an endpoint that tells nothing.

    Args:
        driver: Does the work.
        endpoint: The name of the service.
    """

    def __init__(self, driver: Any, endpoint: str) -> None:
        self._driver = driver
        self.endpoint = endpoint
        self.url = "foreign://somewhere"

    def __getattr__(self, name: str) -> Any:
        if name not in _SHOWN:
            raise AttributeError(name)
        return getattr(self._driver, name)
