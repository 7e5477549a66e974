"""Files of the repository that are generated: recipe reference and dvc.yaml."""
