"""Serializable table commits on plain object storage."""
