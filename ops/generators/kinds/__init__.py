"""The mathematics of the kinds that learn to denoise, one file for each kind."""
