"""Whether all that lies there of an expansion is what was made: one check, one function that returns findings."""
