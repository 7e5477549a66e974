"""Filters: scores for generated images and the rules that reject some of them."""
