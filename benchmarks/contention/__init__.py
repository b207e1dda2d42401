"""Many writers of one table: how often they commit, how long that takes, and whether all of it is true."""
