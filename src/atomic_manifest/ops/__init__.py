"""Table operations: each turns its input and a snapshot into an intent. No I/O."""
