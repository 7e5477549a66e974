"""The network that learns to denoise, and its training."""
