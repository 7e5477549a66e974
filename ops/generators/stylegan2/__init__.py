"""StyleGAN2 with adaptive discriminator augmentation, written from its two papers (Karras et al. 2020a, 2020b)."""
