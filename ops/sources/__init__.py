"""A user's labelled images: descriptions, layouts, conversion, splits."""
