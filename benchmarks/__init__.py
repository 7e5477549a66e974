"""Measured comparisons against what a user would otherwise pick: `growset bench NAME`. Never timed tests."""
