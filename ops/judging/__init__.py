"""Classifiers and measures that judge what a generator makes."""
