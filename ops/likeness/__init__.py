"""How alike two small images are, and which image is a copy of which."""
