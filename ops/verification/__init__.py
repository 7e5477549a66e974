"""Whether everything of an expansion is what was made: each check is a function that returns findings."""
