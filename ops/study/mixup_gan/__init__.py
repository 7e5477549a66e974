"""A kind of part: GANs on mixtures of Gaussians, whose discriminator learns from mixed inputs or from plain ones."""
