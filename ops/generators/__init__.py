"""Generators: their kinds, their directories, and the noise that they draw from."""
