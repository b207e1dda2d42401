"""An S3 service of our own with modelled latencies and faults on demand, held in memory.

For benchmarks, where the time of a request must be known, and for tests that need a given request
to fail in a given way. Path-style addresses; signatures are not checked.
"""

from benchmarks.modelled_s3.client import ModelledS3, start_modelled_s3

__all__ = ["ModelledS3", "start_modelled_s3"]
