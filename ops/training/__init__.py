"""How networks learn: one loop for all, and its parts."""
