"""What every request goes through on its way to a driver: attempts, pauses, checks, outcomes."""
