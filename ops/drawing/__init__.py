"""Draw images with a generator, in pieces that survive a crash."""
