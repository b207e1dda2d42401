"""Buckets of S3, Google and Azure: obstore, and a second client for what it cannot ask."""
