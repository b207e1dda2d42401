"""Filters in their three forms, as Arrow expressions."""
