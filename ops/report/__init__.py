"""The report page and the dataset card."""
