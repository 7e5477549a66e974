"""DVC's objects in cache and remote, checked byte by byte."""
