"""Datasets: pixel and index datasets on disk, and the sources they come from."""
