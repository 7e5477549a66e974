"""A workspace: where things are in it, and the locks between its processes."""
