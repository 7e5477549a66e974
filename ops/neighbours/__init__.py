"""Exact nearest neighbours between rows of numbers: the search, the nearest earlier row, and blocks for millions."""
