"""Dagster's software-defined assets and checks. They are thin: they call `ops` and report metadata."""
