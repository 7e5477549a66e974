"""Variants of training images that keep the label: where they come from, which images they replace, and how many."""
