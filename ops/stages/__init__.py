"""Run one stage exactly once, and compare its inputs with their manifests."""
