"""Generators: the kinds that there are, their directories, and the noise that they draw from."""
