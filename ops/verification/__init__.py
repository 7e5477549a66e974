"""Checks that all data of an expansion is intact and consistent; each check is a function that returns findings."""
