"""Contact sheets and strips of small pictures."""
