"""The Delta log as data: actions, entries, schemas, statistics, snapshots and checkpoints."""
