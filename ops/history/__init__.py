"""What git and DVC remember of a workspace: commits, published versions, and their differences."""
