"""The real commit machine on a modelled object store: every schedule of a few writers, seeds of many.

`schedules` explores, `simulation` draws at random, `cases` says what is explored, `invariants` and `serial`
say what must hold. Nothing here is imported unless asked for.
"""
