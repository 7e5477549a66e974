"""Generated files of the repository: the recipe reference and dvc.yaml."""
