"""A flow that is told an image's features, which an encoder learnt without labels: same features, another image."""
