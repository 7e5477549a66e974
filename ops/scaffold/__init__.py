"""A new workspace, and a recipe that suits its source."""
