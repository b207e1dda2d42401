"""What a service can be trusted with, and how log entries are created on it."""
