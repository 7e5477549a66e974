"""The reference model: fixed features with logistic regression, fitted in seconds, that arms must reach."""
