"""Shared parts of all settings: strict sections, cutoffs of rules, kinds of sections, and reading YAML."""
