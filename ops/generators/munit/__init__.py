"""MUNIT for one set of images: a learnt transform that keeps an image's content and draws its style."""
