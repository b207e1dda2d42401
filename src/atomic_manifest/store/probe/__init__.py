"""Finding out what a store does with conditional requests, by racing threads on real keys.

Services differ in ways that no documentation tells: some ignore a condition in silence, some answer
501, some honour it one request after the other and still let several concurrent writers win. So each
check first asks one after the other, with a condition that holds and one that does not, and then lets
threads start together on a key, round after round, until two of them win or the rounds end. In most
rounds two threads race, in some all: two meet closest, and many show what only a crowd brings about.

Invariants:

* Everything is written below one prefix of the probe's own and removed at the end, also after an
  error, also unfinished uploads. In a bucket with versions delete markers stay behind.
* Requests are bounded by `threads` and `rounds`, time by `seconds`; what the time was not enough for
  is `UNTESTED`.
* A store that lets several win can go unnoticed if it does so rarely: `SAFE` means that in all rounds
  one writer won. One that does not is never called safe because it did not answer.

Error semantics: the probe raises what keeps it from writing at all (no bucket, no permission, no
answer). What one check meets is its finding.
"""

from atomic_manifest.store.probe.run import ROUNDS, probe, probe_creation

__all__ = ["ROUNDS", "probe", "probe_creation"]
