"""The files that come with Growset beside its code: settings of a workspace, recipes, the example, the docs.

In a clone they lie at the root. An installed wheel has copies of them in one folder beside the packages, which setup.py
fills. This module does not know what is in the files.
"""

from __future__ import annotations

from pathlib import Path

CODE = Path(__file__).parents[2]  # the folder of the packages: a clone's root, or site-packages
PACKAGED = CODE / "growset_files"


def is_clone() -> bool:
    """Whether this Growset runs from a clone of its repository, and not from a wheel."""
    return not PACKAGED.is_dir()


def shipped() -> Path:
    """The folder in which the shipped files have the same relative paths as in a clone."""
    return CODE if is_clone() else PACKAGED
