"""Pixel datasets and indices on disk, and what a recipe does to real images: long tails, nuisances, wrong labels."""
