"""How the log behaves as a table gets more files: ours and `deltalake`'s, side by side."""
