"""The library's version, in one place for packaging and for the log's `engineInfo`."""

VERSION = "0.1.0"
ENGINE = f"atomic-manifest/{VERSION}"
