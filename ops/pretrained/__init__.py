"""Networks that were trained elsewhere and lie in a folder on this machine: CLIP, safety classifiers, extractors."""
