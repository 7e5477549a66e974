"""The mathematics of the kinds that learn to denoise: a kind is one file."""
