"""Composition: definitions, jobs, resources, and the `growset` command line."""
