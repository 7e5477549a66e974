"""The machine under the computations: threads, number formats, progress, signals."""
