"""Shares and intervals, with their uncertainty."""
