"""Batches to Parquet files that a commit can name."""
