"""The keys of an arm's ingredients: a section for each kind, and a registry of the kinds of each ingredient."""
