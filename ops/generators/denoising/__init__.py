"""The network that denoises, and its training."""
