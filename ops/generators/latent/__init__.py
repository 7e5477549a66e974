"""A flow in the latent space of a small autoencoder, which makes larger images affordable."""
