"""Contrastive training: a network learns to tell images by two views of each, and a probe then names what it sees."""
