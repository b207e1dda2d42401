"""The folder `_delta_log`: which files it has, which of them make up a version, its entries."""
