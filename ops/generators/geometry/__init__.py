"""Variants by moves: how widely images may be turned, scaled, shifted and mirrored, and the graph that does it."""
