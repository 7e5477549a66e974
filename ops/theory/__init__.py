"""What the theory of generative data augmentation says: bounds, conditions, and a mixture whose truth is known."""
