"""Files of a snapshot, as rows of the table."""
