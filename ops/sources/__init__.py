"""Labelled images as users have them: descriptions, layouts, conversion, splits."""
