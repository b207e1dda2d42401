"""The statistics of files: made from footers, and as typed columns."""
