"""Metrics of sets of generated images: distances between sets of features, and exact neighbours."""
