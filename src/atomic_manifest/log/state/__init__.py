"""A table's state at a version, and what was committed when."""
