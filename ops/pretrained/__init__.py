"""Pretrained networks in folders on this machine: CLIP, safety classifiers, extractors."""
