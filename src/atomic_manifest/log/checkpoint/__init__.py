"""The files of a checkpoint, as columns: read, and as rows to be written."""
