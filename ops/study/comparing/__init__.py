"""Several recipes on the same images, side by side."""
