"""Whatever holds rows, as batches of exactly the table's schema."""
