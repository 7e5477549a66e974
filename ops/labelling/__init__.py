"""Labels for images that nobody labelled: a probe on features, chosen on validation, and what it is surest of."""
