"""Sources that differ, each built from installed packages, and what Growset makes of them: `growset bench sources`.

A source is what a stranger would bring: images in one of the layouts that docs/bring-your-own-data.md lists. Its recipe
is the one that `growset init` writes, untouched.
"""
