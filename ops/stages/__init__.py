"""Run one stage exactly once, and compare what it reads with what was written."""
