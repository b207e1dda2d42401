"""Arrow to Parquet files and back.

Rows come in by `input` and go out to files by `write`; `read` gives them back, chosen by `filter`.
"""
