"""Studies: a question asked of many trainings, whose finished cells are kept under fingerprints."""
