"""Classifiers: the network, the arms' ingredients, equal-step training and the tournament between settings."""
