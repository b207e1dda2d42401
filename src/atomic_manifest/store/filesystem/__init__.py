"""Filesystems of fsspec as drivers, and the conditional requests of those that speak to a bucket."""
