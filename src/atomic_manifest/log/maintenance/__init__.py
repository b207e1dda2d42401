"""What is written to a log, and removed from it, once a commit stands."""
