"""How near generated images are to real ones: distances between sets of features."""
