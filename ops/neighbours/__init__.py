"""Exact nearest neighbours between rows of numbers: the search, and blocks for millions."""
