"""Arrow to Parquet files and back: sources, conforming, writing, partitioning, reading."""
