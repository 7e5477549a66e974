"""Draw images with a generator: who draws which image, in pieces that a crash cannot lose."""
