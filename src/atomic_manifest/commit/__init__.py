"""From an intent to an outcome: conflict rules, the protocol machine, and what drives it."""
