"""Predicates, and which files may hold rows that match one."""
