"""What several stages of the chain share."""
