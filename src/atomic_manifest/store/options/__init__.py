"""Storage options: the names that s3fs, adlfs, gcsfs, obstore and deltalake use, as one form."""
