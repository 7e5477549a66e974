"""A workspace's history in git and DVC: commits, published versions, and their differences."""
