"""Recipes: what may be set, which stage reads what, and the fingerprints that follow from it."""
