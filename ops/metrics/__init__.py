"""How near generated images are to real ones: distances between feature sets, and the judge that reports them."""
