"""A masked autoencoder: a vision transformer that rebuilds an image from some of its patches."""
