"""The verdict: scores, intervals over images, seeds and generators, the decision, and the count of test evaluations."""
