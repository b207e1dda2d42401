"""A worker with a rule of the commit protocol broken: the one that the argument names."""

import sys
from dataclasses import replace

from atomic_manifest.commit import combine, conflicts, progress
from atomic_manifest.commit.intent import Isolation
from atomic_manifest.testing.history import worker

check = conflicts.check


def reads_do_not_count(intent, entry):
    """What was read may change."""
    kept = {conflicts.ConflictKind.DELETE_READ, conflicts.ConflictKind.APPEND}
    return tuple(each for each in check(intent, entry) if each.kind not in kept)


def blind_appends_pass(intent, entry):
    """As at the weaker isolation."""
    return check(replace(intent, isolation=Isolation.WRITE_SERIALIZABLE), entry)


if __name__ == "__main__":
    broken = globals()[sys.argv[1]]
    combine.check = progress.check = broken
    worker.main()
