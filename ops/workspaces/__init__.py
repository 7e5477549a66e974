"""A workspace: its paths, and the locks between its processes."""
