"""Files that appear whole or not at all, their hashes, and the manifests that describe them."""
