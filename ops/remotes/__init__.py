"""DVC's objects in cache and remote, compared by their bytes."""
