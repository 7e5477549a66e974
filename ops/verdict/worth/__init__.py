"""What a gain is worth in real labels: the learning curve of a baseline over its labels, fitted and turned round."""
