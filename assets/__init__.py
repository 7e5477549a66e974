"""Dagster's software-defined assets and checks: thin; they call `ops` and report metadata."""
