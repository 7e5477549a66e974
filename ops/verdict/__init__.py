"""The verdict: paired resampling over test images and seeds, the decision, and the count of test evaluations."""
