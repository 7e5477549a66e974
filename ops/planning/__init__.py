"""How many images to draw for each class, and what an expansion costs."""
