"""What is in a source before anything is spent: counts, sizes, duplicates, probable label errors, outliers, looks."""
