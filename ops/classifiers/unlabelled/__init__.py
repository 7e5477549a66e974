"""Learning from images without labels, of which there is a pool: while a network learns, or after one has learnt."""
