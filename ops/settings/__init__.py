"""What all settings have in common: strict sections, cuts, and reading YAML."""
